//! REQUIRETLS (RFC 8689): a message that travels over verified TLS, or not at all.

use crate::parameter::Parameter;
use crate::reply::Reply;

/// What EHLO says (§2).
pub(crate) const KEYWORD: &str = "REQUIRETLS";

/// The parameter has no value.
pub(crate) fn parse(parameter: Parameter<'_>) -> Result<bool, Reply> {
    match parameter.value {
        None => Ok(true),
        Some(_) => Err(parameter.invalid("none at all")),
    }
}
