//! Sockets, clocks, threads and disks: everything that touches the world.
