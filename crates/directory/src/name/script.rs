//! Which scripts may stand together in a new name.

use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

use super::NameError;

/// Refuses a text that mixes scripts beyond UTS #39's "highly restrictive" level, or holds a character that the
/// standard's profile for identifiers leaves out. ASCII punctuation is the caller's to judge.
pub(super) fn check_scripts(text: &str) -> Result<(), NameError> {
    let letters: String = text.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    match letters.as_str().detect_restriction_level() {
        RestrictionLevel::ASCIIOnly
        | RestrictionLevel::SingleScript
        | RestrictionLevel::HighlyRestrictive => Ok(()),
        _ => Err(unidentified(&letters).map_or(NameError::MixedScripts, NameError::Character)),
    }
}

/// The first character that the profile leaves out, to name it in the refusal.
fn unidentified(text: &str) -> Option<char> {
    use unicode_security::GeneralSecurityProfile;
    text.chars().find(|c| !c.identifier_allowed())
}
