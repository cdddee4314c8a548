//! Load generators and comparisons. Each is a bench target of its own; `make bench` runs them all and
//! `docs/performance.md` says what they showed.
