#!/usr/bin/env python3
"""What the screen costs: `wardbeat watch` on a pseudo-terminal, 16 beds, 120 by 40 cells, 256 colours.

    cargo build --release && python3 benches/terminal.py

Prints bytes a second of terminal output, share of one core (the screen's process alone: the ward runs in another), and
how much later than otherwise the screen's loop was while nobody read the terminal for six seconds, three times in turn.
Ends with 1 where a stalled reader delays the loop by more than BOUND_MS: on an idle machine it is a few milliseconds, and
what a busy one adds is in both figures. Needs Linux.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

WARDBEAT = sys.argv[1] if len(sys.argv) > 1 else "target/release/wardbeat"
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
SIZE = (40, 120)
ROUNDS = 3
BOUND_MS = 200


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_for(fd, seconds, keep=None):
    end, count, frames = time.monotonic() + seconds, 0, 0
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            try:
                got = os.read(fd, 1 << 16)
            except OSError:
                return count, frames  # The screen has ended.
            count, frames = count + len(got), frames + got.count(b"\x1b[?2026l")
            if keep is not None:
                keep.append(got)
    return count, frames


def asked(fd):
    """Frames skipped so far, and the largest lateness of the last five to ten seconds, as the health view says."""
    os.write(fd, b"d")
    read_for(fd, 0.5)
    kept = []
    os.write(fd, b"\x0c")  # Ctrl-L: everything anew.
    read_for(fd, 1.5, kept)
    os.write(fd, b"w")
    shown = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b" ", b"".join(kept)).decode(errors="replace")
    found = re.search(r"skipped frames\s+(\d+)\s+late at most\s+(\d+)\s+ms", shown)
    return int(found.group(1)), int(found.group(2))


def main():
    demo = subprocess.Popen([WARDBEAT, "demo", "--headless", "--beds", "16", "--seconds", "900"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    url = next(line.split("--broker ")[1].strip() for line in demo.stderr if "--broker " in line)
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8", LC_ALL="C.UTF-8")
        os.environ.pop("COLORTERM", None)
        os.execv(WARDBEAT, [WARDBEAT, "watch", "--broker", url, "--color", "256"])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    os.kill(pid, signal.SIGWINCH)
    try:
        # The sweeps fill and the clusters' colours come.
        read_for(fd, 20.0)
        before, began = cpu_s(pid), time.monotonic()
        count, frames = read_for(fd, SECONDS)
        took = time.monotonic() - began
        print(f"16 beds, 120x40, 256 colours: {count / took / 1e3:.1f} kB/s at {frames / took:.1f} frames/s, "
              f"{100 * (cpu_s(pid) - before) / took:.2f} % of one core, over {took:.0f} s")
        more = []
        for _ in range(ROUNDS):
            read_for(fd, 11.0)  # What the last stall left is forgotten.
            skipped, late = asked(fd)
            time.sleep(6.0)
            read_for(fd, 0.5)
            after, later = asked(fd)
            assert after - skipped > 20, "the screen's output never stalled"
            more.append(later - late)
            print(f"reader stalled for 6 s: {after - skipped} frames skipped; "
                  f"loop late at most {late} ms before, {later} ms with the stall")
        delay = sorted(more)[ROUNDS // 2]
        print(f"a stalled reader delays the loop by {delay} ms (median of {ROUNDS})")
        if delay > BOUND_MS:
            sys.exit(1)
    finally:
        os.write(fd, b"qy")
        read_for(fd, 1.0)
        os.kill(pid, signal.SIGTERM)
        demo.kill()


main()
