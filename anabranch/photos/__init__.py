"""The photos workload, pure: the positions of photos, read from a few kilobytes of each, here, over SFTP, or at URLs.

Folders are listed (listing), photos that earlier runs read are left out (known), the others are split into parts
(plan). A part (work) reads byte ranges of its photos: from files of this machine, through a pipelined SFTP client
(sftp, session, fetching) on a connection of this process (hosts, connecting, hostkeys), or by fsspec (urls). The
walkers say which ranges they need, and do no I/O (view, containers, boxes, exif, xmp); positions says what the numbers
mean. The join (join) sorts them into sites (sites), writes each output (outputs, layers, summary, page) and draws the
flight paths (maps).
"""
