//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2 `esmtp-param`), and xtext (RFC 3461 §4).

use crate::reply::Reply;

/// One parameter: a keyword and perhaps a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Parameter<'a> {
    pub(crate) keyword: &'a str,
    pub(crate) value: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    /// Splits what follows a path into parameters. Refuses bad grammar and a keyword given twice: of two
    /// values, one of two servers on the way would take the other one.
    pub(crate) fn list(text: &'a str) -> Result<Vec<Self>, Reply> {
        if !text.is_empty() && !text.starts_with(' ') {
            return Err(Reply::new(501, (5, 2), "After the address comes a space, then the parameters"));
        }
        let mut list: Vec<Self> = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let parameter = Self::parse(word).ok_or_else(|| {
                Reply::new(501, (5, 4), "A parameter is KEYWORD or KEYWORD=value; one of these is neither")
            })?;
            if list.iter().any(|one| one.is(parameter.keyword)) {
                return Err(Reply::new(501, (5, 4), "The same parameter is given twice; give it once"));
            }
            if list.len() == 20 {
                return Err(Reply::new(501, (5, 4), "Too many parameters"));
            }
            list.push(parameter);
        }
        Ok(list)
    }

    /// A parameter of which keyword and value are known apart.
    pub(crate) fn of(keyword: &'a str, value: Option<&'a str>) -> Option<Self> {
        let parameter = Self { keyword, value };
        let stands_alone = |text: &str| !text.contains([' ', '=']);
        (stands_alone(keyword) && value.is_none_or(stands_alone) && parameter.is_well_formed())
            .then_some(parameter)
    }

    fn parse(word: &'a str) -> Option<Self> {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let parameter = Self { keyword, value };
        parameter.is_well_formed().then_some(parameter)
    }

    fn is_well_formed(&self) -> bool {
        let Self { keyword, value } = self;
        let keyword_ok = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
            && keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let value_ok = value.is_none_or(|v| !v.is_empty() && v.chars().all(|c| !c.is_control() && c != '='));
        keyword_ok && value_ok
    }

    /// Whether the keyword is this one; keywords have no case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword)
    }

    /// The refusal of a parameter that was not announced (RFC 5321 §4.1.1.11).
    pub(crate) fn unsupported(&self) -> Reply {
        let name: String = self.keyword.chars().take(40).collect();
        Reply::new(555, (5, 4), format!("Parameter {name} is not among those announced; leave it out"))
    }

    /// The refusal of a value.
    pub(crate) fn invalid(&self, wanted: &str) -> Reply {
        let name = self.keyword.to_ascii_uppercase();
        Reply::new(501, (5, 4), format!("Bad value for parameter {name}; wanted: {wanted}"))
    }
}

/// Decodes xtext to printable ASCII (RFC 3461 §4). What decodes to CR, LF, NUL or any other control is none.
pub(crate) fn xtext(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let c = match byte {
            b'+' => char::from(hex(rest.next()?)? << 4 | hex(rest.next()?)?),
            b'=' => return None,
            _ => char::from(byte),
        };
        if !(' '..='~').contains(&c) || byte == b' ' {
            return None;
        }
        decoded.push(c);
    }
    Some(decoded)
}

/// Encodes printable ASCII as xtext.
pub(crate) fn to_xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' | ' ' => encoded.push_str(&format!("+{:02X}", u32::from(c))),
            _ => encoded.push(c),
        }
    }
    encoded
}

/// The grammar knows upper case only.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_keywords_and_values() {
        let list = Parameter::list(" SIZE=12  SMTPUTF8 body=7BIT").unwrap();
        let pairs: Vec<_> = list.iter().map(|p| (p.keyword, p.value)).collect();
        assert_eq!(pairs, [("SIZE", Some("12")), ("SMTPUTF8", None), ("body", Some("7BIT"))]);
        assert!(Parameter::list("").unwrap().is_empty());
        for bad in ["SIZE=1", " SIZE=", " =1", " -A", " A=b=c", " A=1 a=2", " é", " A B A"] {
            assert!(Parameter::list(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn decodes_xtext_and_nothing_that_injects() {
        assert_eq!(xtext("a+2Bb+3D+20c").as_deref(), Some("a+b= c"));
        assert_eq!(to_xtext("a+b= c"), "a+2Bb+3D+20c");
        for bad in ["a+", "a+2", "a+2b", "a=b", "a+0D+0A", "a+00", "a+7F", "a+FF", "a b", "é"] {
            assert_eq!(xtext(bad), None, "{bad:?}");
        }
    }
}
