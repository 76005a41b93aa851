//! Training, fitting, evaluation and explanation from recordings.
