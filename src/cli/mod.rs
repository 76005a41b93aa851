//! Commands: one file each. Parses, calls a room, turns its result into words and an exit code; computes nothing.
