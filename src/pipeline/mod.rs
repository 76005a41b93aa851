//! The analysis of beds: pure, a bed on one thread, time is an argument.
