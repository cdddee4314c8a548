//! Filters of any type: conditions under operators (RFC 8620 §5.5).

use mail::search::{all, any};
use serde_json::Value;

use crate::error::MethodError;
use crate::wire::{Arguments, Object};

/// A filter.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Filter<C> {
    /// All must match.
    And(Vec<Self>),
    /// One must match.
    Or(Vec<Self>),
    /// None may match.
    Not(Vec<Self>),
    /// A condition.
    Is(C),
}

impl<C> Filter<C> {
    /// Reads a filter. Its depth is that of the request; its conditions and operators are counted here.
    pub(crate) fn read(
        value: Value,
        most: usize,
        condition: &dyn Fn(&mut Arguments) -> Result<Vec<Self>, MethodError>,
    ) -> Result<Self, MethodError> {
        let mut left = most;
        Self::read_within(value, &mut left, condition)
    }

    fn read_within(
        value: Value,
        left: &mut usize,
        condition: &dyn Fn(&mut Arguments) -> Result<Vec<Self>, MethodError>,
    ) -> Result<Self, MethodError> {
        let Value::Object(members) = value else {
            return Err(bad("must be an object, and so must its parts"));
        };
        let too_many =
            || MethodError::UnsupportedFilter("the filter has more conditions than are taken".to_owned());
        *left = left.checked_sub(1).ok_or_else(too_many)?;
        if members.contains_key("operator") {
            return Self::operator(members, left, condition);
        }
        let mut arguments = Arguments::new(members);
        let conditions = condition(&mut arguments)?;
        *left = left.checked_sub(conditions.len()).ok_or_else(too_many)?;
        match arguments.rest().keys().next() {
            Some(name) => Err(MethodError::UnsupportedFilter(format!("there is no condition {name:?}"))),
            None => Ok(Self::And(conditions)),
        }
    }

    fn operator(
        members: Object,
        left: &mut usize,
        condition: &dyn Fn(&mut Arguments) -> Result<Vec<Self>, MethodError>,
    ) -> Result<Self, MethodError> {
        let mut arguments = Arguments::new(members);
        let operator: String = arguments.required("operator")?;
        let conditions: Vec<Value> = arguments.required("conditions")?;
        arguments.end()?;
        let inner = conditions.into_iter().map(|value| Self::read_within(value, left, condition));
        let inner = inner.collect::<Result<_, _>>()?;
        match operator.as_str() {
            "AND" => Ok(Self::And(inner)),
            "OR" => Ok(Self::Or(inner)),
            "NOT" => Ok(Self::Not(inner)),
            _ => Err(bad("has an operator that is none of AND, OR and NOT")),
        }
    }

    /// Whether it matches, if `holds` knows enough of the conditions to tell.
    pub(crate) fn holds(&self, holds: &dyn Fn(&C) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Is(condition) => holds(condition),
            Self::And(filters) => all(filters.iter().map(|filter| filter.holds(holds))),
            Self::Or(filters) => any(filters.iter().map(|filter| filter.holds(holds))),
            Self::Not(filters) => any(filters.iter().map(|filter| filter.holds(holds))).map(|any| !any),
        }
    }
}

fn bad(what: &str) -> MethodError {
    MethodError::argument("filter", what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Filter<u64>, MethodError> {
        Filter::read(value, 20, &|arguments| {
            let name = |name| arguments.optional::<u64>(name);
            let mut name = name;
            Ok([name("a")?, name("b")?].into_iter().flatten().map(Filter::Is).collect())
        })
    }

    #[test]
    fn operators_and_what_is_not_known() {
        let filter = read(json!({"operator": "AND", "conditions": [
            {"a": 1},
            {"operator": "NOT", "conditions": [{"a": 2}, {"b": 3}]},
            {"operator": "OR", "conditions": [{"a": 4, "b": 5}, {"a": 6}]},
        ]}))
        .unwrap();
        let holds = |known: &[u64], not: &[u64]| {
            filter.holds(&|c| (known.contains(c) || not.contains(c)).then(|| known.contains(c)))
        };
        assert_eq!(holds(&[1, 6], &[2, 3]), Some(true));
        assert_eq!(holds(&[1, 6], &[2]), None);
        assert_eq!(holds(&[3], &[]), Some(false));
        assert_eq!(holds(&[], &[1]), Some(false));
        assert_eq!(holds(&[1, 4, 5], &[2, 3]), Some(true));
        assert_eq!(read(json!({})).unwrap().holds(&|_| None), Some(true));
    }

    #[test]
    fn bad_filters() {
        for (value, what) in [
            (json!([]), "invalidArguments"),
            (json!({"operator": "XOR", "conditions": []}), "invalidArguments"),
            (json!({"operator": "AND"}), "invalidArguments"),
            (json!({"operator": "AND", "conditions": [], "a": 1}), "invalidArguments"),
            (json!({"c": 1}), "unsupportedFilter"),
            (json!({"a": "x"}), "invalidArguments"),
            (json!({"operator": "OR", "conditions": vec![json!({}); 30]}), "unsupportedFilter"),
        ] {
            assert_eq!(read(value).unwrap_err().to_json()["type"], what);
        }
    }
}
