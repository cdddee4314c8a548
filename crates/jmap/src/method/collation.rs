//! How texts are compared where a client sorts by them (RFC 4790).

pub(crate) use mail::search::Collation;

use crate::error::MethodError;
use crate::wire::Arguments;

/// All that clients may name.
pub(crate) const NAMES: [&str; 3] = ["i;ascii-casemap", "i;octet", "i;unicode-casemap"];

/// Comparators of one sort. Each is worked out for everything that is sorted.
const MOST_COMPARATORS: usize = 16;

/// Refuses a sort of too many comparators.
pub(crate) fn check_number(comparators: usize) -> Result<(), MethodError> {
    if comparators > MOST_COMPARATORS {
        let text = format!("a sort may have {MOST_COMPARATORS} comparators");
        return Err(MethodError::UnsupportedSort(text));
    }
    Ok(())
}

/// Takes `collation`.
pub(crate) fn read(comparator: &mut Arguments) -> Result<Collation, MethodError> {
    match comparator.optional::<String>("collation")?.as_deref() {
        None | Some("i;unicode-casemap") => Ok(Collation::Unicode),
        Some("i;ascii-casemap") => Ok(Collation::Ascii),
        Some("i;octet") => Ok(Collation::Octet),
        Some(other) => Err(MethodError::UnsupportedSort(format!("the collation {other:?} is not known"))),
    }
}
