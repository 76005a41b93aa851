//! Draws a snapshot on a terminal, nothing else.
