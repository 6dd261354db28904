//! The typed client of the Label Studio HTTP API: the only room that knows reqwest.
