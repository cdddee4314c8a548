//! Arguments of a method call, taken one by one; what is left over was not asked for.

use std::collections::BTreeMap;

use serde_json::Value;
use types::Timestamp;

use super::{Object, date, id};
use crate::error::MethodError;

/// The largest number that JSON carries exactly everywhere (RFC 8620 §1.3).
const MAX_INT: u64 = (1 << 53) - 1;

/// What is left of the arguments.
#[derive(Clone, PartialEq, Debug)]
pub struct Arguments(Object);

/// A type that arguments have.
pub(crate) trait FromJson: Sized {
    /// What it is, after "must be".
    const EXPECTED: &'static str;

    /// Reads it.
    fn from_json(value: Value) -> Option<Self>;
}

/// An id (RFC 8620 §1.2): of a record, or `#` and what the client has called one that it creates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Id(pub(crate) String);

impl Arguments {
    /// Of a call whose references were resolved.
    pub const fn new(arguments: Object) -> Self {
        Self(arguments)
    }

    /// The argument as it is; `null` is the same as none.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// An argument that need not be there.
    pub(crate) fn optional<T: FromJson>(&mut self, name: &'static str) -> Result<Option<T>, MethodError> {
        let read = |value| {
            T::from_json(value)
                .ok_or_else(|| MethodError::argument(name, format_args!("must be {}", T::EXPECTED)))
        };
        self.take(name).map(read).transpose()
    }

    /// An argument that must be there.
    pub(crate) fn required<T: FromJson>(&mut self, name: &'static str) -> Result<T, MethodError> {
        let missing = || MethodError::argument(name, format_args!("is missing: it must be {}", T::EXPECTED));
        self.optional(name)?.ok_or_else(missing)
    }

    /// An argument with a default.
    pub(crate) fn or<T: FromJson>(&mut self, name: &'static str, default: T) -> Result<T, MethodError> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// An argument for which `null` means something else than that it is not there.
    pub(crate) fn nullable<T: FromJson>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Option<T>>, MethodError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Null) => {
                self.0.remove(name);
                Ok(Some(None))
            }
            Some(_) => Ok(self.optional(name)?.map(Some)),
        }
    }

    /// The name of an argument that is `null`.
    pub(crate) fn null(&self) -> Option<&str> {
        self.0.iter().find(|(_, value)| value.is_null()).map(|(name, _)| name.as_str())
    }

    /// All have been taken: anything else is a mistake of the client, which must not believe that it has an effect.
    pub(crate) fn end(self) -> Result<(), MethodError> {
        match self.0.keys().next() {
            Some(name) => Err(MethodError::argument(name, "is no argument of this method")),
            None => Ok(()),
        }
    }

    /// What is left, as it is.
    pub(crate) fn rest(self) -> Object {
        self.0
    }
}

impl FromJson for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_json(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for u64 {
    const EXPECTED: &'static str = "a whole number from 0 to 2^53-1";

    fn from_json(value: Value) -> Option<Self> {
        value.as_u64().filter(|number| *number <= MAX_INT)
    }
}

impl FromJson for i64 {
    const EXPECTED: &'static str = "a whole number from -2^53+1 to 2^53-1";

    fn from_json(value: Value) -> Option<Self> {
        value.as_i64().filter(|number| number.unsigned_abs() <= MAX_INT)
    }
}

impl FromJson for String {
    const EXPECTED: &'static str = "a string";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl FromJson for Id {
    const EXPECTED: &'static str = "an id: 1 to 255 of A-Z, a-z, 0-9, - and _";

    fn from_json(value: Value) -> Option<Self> {
        let Value::String(text) = value else { return None };
        id::is_id(text.strip_prefix('#').unwrap_or(&text)).then_some(Self(text))
    }
}

impl FromJson for Timestamp {
    const EXPECTED: &'static str = "a time in UTC such as 2014-10-30T06:12:00Z";

    fn from_json(value: Value) -> Option<Self> {
        date::parse_utc(value.as_str()?)
    }
}

impl FromJson for Value {
    const EXPECTED: &'static str = "anything but null";

    fn from_json(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl FromJson for Object {
    const EXPECTED: &'static str = "an object";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    const EXPECTED: &'static str = "an array of the right things";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(T::from_json).collect(),
            _ => None,
        }
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    const EXPECTED: &'static str = "an object of the right things";

    fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| Some((name, T::from_json(value)?))).collect()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Arguments {
        Arguments::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn arguments_of_the_wrong_type_are_named() {
        let mut args = arguments(
            json!({"a": "x", "b": null, "c": 1.5, "d": 9_007_199_254_740_992_u64, "e": ["ok", "no id"]}),
        );
        assert!(args.optional::<bool>("a").unwrap_err().to_string().starts_with("a must be true"));
        assert_eq!(args.optional::<bool>("b"), Ok(None));
        assert!(args.optional::<u64>("c").is_err() && args.optional::<u64>("d").is_err());
        assert!(args.optional::<Vec<Id>>("e").is_err());
        assert!(args.required::<String>("f").unwrap_err().to_string().starts_with("f is missing"));
        assert_eq!(args.end(), Ok(()));
        let left = arguments(json!({"unheardOf": 1})).end().unwrap_err();
        assert_eq!(left.to_string(), "unheardOf is no argument of this method");
    }
}
