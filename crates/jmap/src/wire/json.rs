//! I-JSON (RFC 7493), read with its limits first: no member twice in an object, no deep nest, and no more memory than was
//! agreed on, whatever the octets are.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};
use thiserror::Error;

/// What a value may be at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Arrays and objects within each other.
    pub depth: usize,
    /// Octets of memory.
    pub memory: usize,
}

/// Why octets were not read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// Not I-JSON.
    #[error("{0}")]
    Syntax(String),
    /// Over [`Bounds::depth`].
    #[error("arrays and objects lie deeper than {0} within each other")]
    Deep(usize),
    /// Over [`Bounds::memory`].
    #[error("the values take more than {0} octets of memory")]
    Large(usize),
}

/// About what a value takes, in octets.
const VALUE: usize = size_of::<Value>();
/// About what a member of an object takes beside its name and value: nodes of the tree are half full at worst.
pub(crate) const MEMBER: usize = 128;

/// Reads one value that is all there is.
pub fn parse(octets: &[u8], bounds: Bounds) -> Result<Value, Refusal> {
    let state = State { left: Cell::new(bounds.memory), refused: Cell::new(None) };
    let mut deserializer = Deserializer::from_slice(octets);
    let seed = Seed { state: &state, depth: bounds.depth };
    let value = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| match state.refused.get() {
        Some(Refused::Deep) => Refusal::Deep(bounds.depth),
        Some(Refused::Large) => Refusal::Large(bounds.memory),
        None => Refusal::Syntax(error.to_string()),
    })
}

/// About how much memory a value takes, in octets; no more than `most` is counted.
pub fn weight(value: &Value, most: usize) -> usize {
    let mut weight = 0_usize;
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        weight = weight.saturating_add(VALUE);
        match value {
            Value::String(text) => weight = weight.saturating_add(text.len()),
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                weight = members.keys().fold(weight, |sum, name| sum.saturating_add(MEMBER + name.len()));
                rest.extend(members.values());
            }
            _ => {}
        }
        if weight > most {
            break;
        }
    }
    weight
}

struct State {
    left: Cell<usize>,
    /// Why it was given up, where serde's own error cannot say.
    refused: Cell<Option<Refused>>,
}

#[derive(Clone, Copy)]
enum Refused {
    Deep,
    Large,
}

impl State {
    fn spend<E: serde::de::Error>(&self, octets: usize) -> Result<(), E> {
        match self.left.get().checked_sub(octets) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.refuse(Refused::Large)),
        }
    }

    fn refuse<E: serde::de::Error>(&self, why: Refused) -> E {
        self.refused.set(Some(why));
        E::custom("over a limit")
    }
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    state: &'s State,
    depth: usize,
}

impl<'s> Seed<'s> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.state.refuse(Refused::Deep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.state.spend(VALUE)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.state.spend(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            self.state.spend(MEMBER + name.len())?;
            let value = members.next_value_seed(inner)?;
            // RFC 7493 §2.3: which of them counts would depend on who reads.
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("an object has the member {name:?} twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 40, memory: 1 << 20 };

    fn refused(text: &str) -> Refusal {
        parse(text.as_bytes(), BOUNDS).unwrap_err()
    }

    #[test]
    fn what_serde_reads_is_read() {
        for text in [
            "null",
            "[true,false,-1,18446744073709551615,1.5e300,\"\\u00e9\\ud83d\\ude00\"]",
            " {\"a\" : {\"b\":[]}, \"\":[{}]}\n",
        ] {
            let own = parse(text.as_bytes(), BOUNDS).unwrap();
            assert_eq!(own, serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn what_is_no_i_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{} {}",
            "{\"a\":1,\"a\":1}",
            "[{\"x\":{\"a\":1,\"a\":2}}]",
            "\"\\ud800\"",
            "1e999",
            "nul",
        ] {
            assert!(matches!(refused(text), Refusal::Syntax(_)), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\"", BOUNDS), Err(Refusal::Syntax(_))));
    }

    #[test]
    fn fault_49_a_nest_is_refused_before_it_gets_deep() {
        assert_eq!(refused(&"[".repeat(1_000_000)), Refusal::Deep(40));
        assert_eq!(refused(&"{\"a\":".repeat(1_000_000)), Refusal::Deep(40));
        let (open, close) = ("[".repeat(40), "]".repeat(40));
        assert!(parse(format!("{open}{close}").as_bytes(), BOUNDS).is_ok());
        assert_eq!(refused(&format!("[{open}{close}]")), Refusal::Deep(40));
    }

    #[test]
    fn small_octets_that_would_take_much_memory_are_refused() {
        assert_eq!(refused(&format!("[{}[]]", "[],".repeat(100_000))), Refusal::Large(1 << 20));
        assert_eq!(refused(&format!("[{}0]", "{\"\":0},".repeat(10_000))), Refusal::Large(1 << 20));
    }

    #[test]
    fn what_was_read_weighs_what_was_spent() {
        let text = format!("[{}0]", "{\"name\":[\"text\",1]},".repeat(100));
        let value = parse(text.as_bytes(), BOUNDS).unwrap();
        let weight = weight(&value, usize::MAX);
        assert!(parse(text.as_bytes(), Bounds { memory: weight, ..BOUNDS }).is_ok());
        assert!(parse(text.as_bytes(), Bounds { memory: weight - 1, ..BOUNDS }).is_err());
    }
}
