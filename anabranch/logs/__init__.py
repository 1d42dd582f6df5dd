"""The logs workload, pure: archives of rotated unit logs become reports.

An archive (archive) is cut into slices, runs of bzip2 blocks, which are unpacked in parallel (unpack) into its tar
stream, a row of byte ranges. It contains members (members), the logs. They are cut into pieces of whole
lines and listed in a catalogue (plan, catalogue); consecutive pieces make a part. Of a part's text (reading) only lines
with the fixed text of a rule (scan, rules) are looked at (timestamps, modes, modems, sessions). What they say is left
in files (results, work), which the join puts together by the order of the catalogue (join, targets).
"""
