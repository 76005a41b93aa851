//! WFDB files in, samples and annotations out.
