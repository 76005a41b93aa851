//! A seeded 12-lead ECG generator with exact beat and wave truth.
