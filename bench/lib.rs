//! Load generators and comparisons. Benches are targets of their own, and `make bench` runs them all; `make compare`
//! drives Magpie beside Postfix and Dovecot. `docs/performance.md` says what they showed.
