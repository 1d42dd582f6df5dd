"""Make a synthetic archive of rotated unit logs: for the demonstration, the tests and the benchmarks."""

import bz2
import gzip
import io
import lzma
import random
import re
import tarfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from math import sin, tau
from pathlib import Path
from typing import BinaryIO

_START = datetime(2025, 9, 26, 10, tzinfo=UTC)
_SPAN = timedelta(hours=6)  # from the first line to the last, whatever the size
_LINE = 160  # bytes, on average
_SIGNAL, _STATE = 0.06, 0.002  # share of lines that measure something, and that change the unit's state
_POOL = 4000  # different texts of each sort; more would only cost time

# # means a number below 10, ## one below 100, and so on; @ a place in the process.
_NOISE = """\
corecard kernel: [##.######] usb 1-1.#: new high-speed USB device number ## using ci_hdrc
corecard eaglenest @:INFO: USB port #: signal: rssi -##dBm, rsrp -###dBm, rsrq -##dB, sinr #, cell ######## (qmi.py:###)
corecard eaglenest @:DEBUG: USB port #: AT command AT+CSQ answered in ### ms: +CSQ: ##,99 (eaglenest/usb/at.py:###)
corecard boss100 @:INFO:Got status message from 'Boss1100_########_Instance#': 'idle' (boss100/monitor.py:##)
corecard streamer @:INFO:encoder queue depth #, keyframe interval ##, gop ##, qp avg ##.# (streamer/video/stats.py:###)
corecard streamer @:DEBUG:fec rate #.##%, retransmit ### packets, window ### ms (../../cpp/StreamerEngine/Fec.h:###)
vic python @:INFO:capture fps ##.##, dropped # frames, audio level -## dB (../../cpp/Video/Capture.h:###)
vic monitor @:INFO:Temperature is ##.# C, fan at ##% (monitor/temperaturemonitor.py:##)
corecard overlord @:DEBUG:keep alive from egg gpsd after ### ms (overlord/master/keepalive.py:##)
corecard medic @:INFO:opérateur ### réseau #### joignable (medic/réseau.py:##)"""

_MEASURED = """\
corecard streamer @:INFO:Modem Statistics for modem #: potentialBW ####kbps, ##% loss, ###ms up extrapolated delay, \
##ms shortest round trip delay, ###ms smooth round trip delay, ###ms minimum smooth round trip delay (Trace.h:60)
corecard streamer @:INFO:Modem Statistics for modem 1#: potentialBW ####kbps, loss (##%), extrapolated smooth upstream \
delay (###ms), shortest round trip delay (##ms), extrapolated smooth round trip delay (###ms), minimum smooth round \
trip delay (###ms) (Trace.h:47)
vic python @:INFO:Detected flow in outgoing queue (potential #### kbps): Setting bitrate to #### kbps (Video.h:280)
vic python @:INFO:Detected congestion in outgoing queue:  drain time = ### ms, potential bandwidth #### kbps: \
Setting bitrate to #### kbps (Video.h:300)
corecard streamer @:INFO:Detected flow in outgoing queue (available <Bandwidth: ####kbps>): Setting bitrate to \
<Bandwidth: ####kbps> (streamer/video/adaptive.py:91)
vic monitor @:INFO:Memory usage is ##.#% (### MB out of 2069 MB), cached - ## MB (monitor/memorymonitor.py:32)
corecard monitor @:WARNING:Memory usage is too high: 9#.## % (monitor/warningreceiver.py:15)
corecard streamer @:INFO:ModemGrading: changed grade of modem # from Full Service to Limited Service (Grading.h:196)
corecard streamer @:INFO:modem # extrapolated smooth rtt (###) or upstreamdelay (###) NOT good enough for full service
corecard streamer @:INFO:modem # loss ( ## ) below limited service floor 20 (Grading.h:217)"""

# What of these is drawn in charts goes up and down with time, from the lowest value to the highest, as real ones do.
_WAVES = {
    r"(?<=potentialBW )\d{4}": (2000, 6000),
    r"(?<=potential )\d{4}|(?<=bandwidth )\d{4}|(?<=\(available <Bandwidth: )\d{4}": (6000, 9500),
    r"(?<=bitrate to )\d{4}|(?<=bitrate to <Bandwidth: )\d{4}": (3000, 5800),
    r"\d\d(?=% loss)|(?<=loss \()\d\d(?=%)": (10, 40),
    r"\d{3}(?=ms up)|(?<=upstream delay \()\d{3}": (110, 500),
    r"(?<=usage is )\d\d": (40, 70),
}

# In this order, again and again: what a unit goes through.
_STATES = """\
corecard boss100 @:INFO:Entering state "StartStreamer" with args: (), {'collectorAddressList': [[u'10.#.##.##', 8###]]}
corecard boss100 @:INFO:Received SESSION ID: ####### from Boss1100_########_Instance2 (selectchannel.py:53)
corecard boss100 @:INFO:Entering state "Streaming" with args: ('Boss1100_########_Instance1',), {} (state.py:24)
vic python @:INFO:Camera connected (vic/video.py:##)
corecard overlord @:ERROR:Overlord watched Egg streamer, pid ####, and it terminated unexpectedly with signal ##
corecard boss100 @:INFO:Entering state "StopStreamer" with args: (), {} (common/statemachine/state.py:21)
mmh4 boss1100[###]: @:INFO:Entered state "CollectorStarting" (common/statemachine/state.py:23)
mmh4 boss1100[###]: @:INFO:Entering state "CollectorStopping" with args: ('No data', True), {} (state.py:21)
corecard lu100gui @:INFO:Rebooting the system: Reboot was requested (gui/reboot.py:##)"""


def write_sample(path: Path, megabytes: float = 30, members: int = 8, seed: int = 1) -> None:
    """Write an archive of `megabytes` of log text in rotated, gzipped members; the newest of them is not compressed.

    The suffix of the path chooses .tar.bz2, .tar.gz, .tar.xz or .tar. Equal arguments give equal bytes.
    """
    generator = random.Random(seed)  # noqa: S311  no secret
    lines = _lines(int(megabytes * 1e6), generator)
    with path.open("wb") as raw, _compressing(raw, path.suffix) as out, tarfile.open(fileobj=out, mode="w") as tar:
        for rotation in reversed(range(members)):
            text = _take(lines, int(megabytes * 1e6 / members) if rotation else None)
            name = f"./messages.log.{rotation}.gz" if rotation else "./messages.log"
            data = gzip.compress(text, mtime=0) if rotation else text
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), int(_START.timestamp())
            tar.addfile(entry, io.BytesIO(data))


def _compressing(raw: BinaryIO, suffix: str) -> bz2.BZ2File | lzma.LZMAFile | gzip.GzipFile | BinaryIO:
    if suffix == ".bz2":
        return bz2.open(raw, "wb")
    if suffix == ".xz":
        return lzma.open(raw, "wb")
    return gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if suffix == ".gz" else raw


def _take(lines: Iterator[bytes], size: int | None) -> bytes:
    """Join the next lines up to `size` bytes, or all that are left."""
    taken, total = [], 0
    for line in lines:
        taken.append(line)
        total += len(line)
        if size is not None and total >= size:
            break
    return b"".join(taken)


def _lines(size: int, generator: random.Random) -> Iterator[bytes]:
    noise, measured, states = (_texts(templates, generator) for templates in (_NOISE, _MEASURED, _STATES))
    measured, sorts = [_waved(text, number) for number, text in enumerate(measured)], len(_MEASURED.splitlines())
    state = cycle(states)
    step = _SPAN / max(size // _LINE, 1)
    time, written, draw = _START, 0, generator.random
    while written < size:
        chance = draw()
        if chance > 1 - _STATE:
            text = next(state)
        elif chance < _SIGNAL:  # one of any sort, of those for this time
            text = measured[int(written / size * _POOL) // sorts * sorts + int(draw() * _POOL) % sorts]
        else:
            text = noise[int(draw() * _POOL)]
        line = f"{time.isoformat(timespec='microseconds')} ".encode() + text
        yield line
        written += len(line)
        time += step


def _texts(templates: str, generator: random.Random) -> Sequence[bytes]:
    """Fill the templates with numbers, in many ways."""
    listed = templates.splitlines()
    return [(_filled(listed[number % len(listed)], generator) + "\n").encode() for number in range(_POOL)]


def _waved(text: bytes, number: int) -> bytes:
    """Replace what was measured by what fits the time of this text among all; each of six modems has its own waves."""
    line = re.sub(r"(modem 1?)(\d)", lambda match: f"{match[1]}{1 + int(match[2]) % 3}", text.decode())
    modem = re.search(r"for modem (\d+)", line)
    own, jitter = int(modem[1]) if modem else 0, number * 7919 % 97 / 97
    for order, (place, (low, high)) in enumerate(_WAVES.items()):
        height = sin(number / _POOL * tau * (2 + own % 3) + own + 2 * order) * 0.45 + 0.45 + jitter * 0.1
        line = re.sub(place, str(round(low + (high - low) * height)), line)
    return line.encode()


def _filled(template: str, generator: random.Random) -> str:
    text = template.replace("@", "(####.######)(####.##########)")
    return "".join(generator.choice("123456789") if letter == "#" else letter for letter in text)
