//! Forward mode: tangents that ride along.
