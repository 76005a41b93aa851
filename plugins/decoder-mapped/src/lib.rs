//! Decodes foreign JSON by a table of JSON pointers.
