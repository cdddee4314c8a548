//! JSON pointers (RFC 6901) with the `*` that goes through arrays (RFC 8620 §3.7).

use serde_json::Value;

use super::json::weight;

/// A pointer, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer(Vec<String>);

/// Steps that a pointer may have.
const MAX_STEPS: usize = 40;
/// What it takes of the room to look at an item of an array, in octets.
const LOOK: usize = 8;

impl Pointer {
    /// Reads a pointer: empty, or `/` before each step.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let steps: Vec<String> = text.strip_prefix('/')?.split('/').map(unescaped).collect::<Option<_>>()?;
        (steps.len() <= MAX_STEPS).then_some(Self(steps))
    }

    /// Its steps.
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// What it leads to, copied; nothing if it leads nowhere, or if the copy would take more than `room` octets, which
    /// get fewer by what it takes.
    pub fn resolve(&self, value: &Value, room: &mut usize) -> Option<Value> {
        let mut found = Vec::new();
        let is_list = find(&self.0, value, &mut found, room)?;
        // A list is counted before it is copied: each of its items was only looked at so far.
        let items = found.iter().map(|value| weight(value, *room));
        let taken = items.fold(0_usize, usize::saturating_add);
        *room = room.checked_sub(taken)?;
        let mut copies = found.into_iter().cloned();
        if is_list { Some(Value::Array(copies.collect())) } else { copies.next() }
    }
}

/// Follows the steps; true if a `*` has made a list of it. Each item that is looked at takes some of the room, whatever comes of
/// it.
fn find<'v>(
    steps: &[String],
    value: &'v Value,
    found: &mut Vec<&'v Value>,
    room: &mut usize,
) -> Option<bool> {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return Some(false);
    };
    match value {
        Value::Object(members) => find(rest, members.get(step)?, found, room),
        Value::Array(items) if step == "*" => {
            for item in items {
                *room = room.checked_sub(LOOK)?;
                let before = found.len();
                let is_list = find(rest, item, found, room)?;
                // "If the result of applying the rest of the pointer tokens to each item was itself an array, the
                // contents of this array are added rather than the array itself."
                if let (false, Some(Value::Array(inner))) = (is_list, found.get(before).copied()) {
                    found.pop();
                    found.extend(inner);
                }
            }
            Some(true)
        }
        Value::Array(items) => find(rest, items.get(index(step)?)?, found, room),
        _ => None,
    }
}

/// An index of an array: digits without a zero before them (RFC 6901 §4).
fn index(step: &str) -> Option<usize> {
    let canonical = step == "0" || (!step.starts_with(['0', '+']) && !step.is_empty());
    canonical.then(|| step.parse().ok()).flatten()
}

fn unescaped(step: &str) -> Option<String> {
    let mut out = String::with_capacity(step.len());
    let mut rest = step;
    while let Some(at) = rest.find('~') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        out.push(match from.as_bytes().get(1)? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        rest = from.get(2..)?;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(pointer: &str, value: &Value) -> Option<Value> {
        Pointer::parse(pointer)?.resolve(value, &mut (1 << 20))
    }

    /// RFC 6901 §5
    #[test]
    fn the_examples_of_json_pointers() {
        let value = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
        });
        for (pointer, found) in [
            ("", value.clone()),
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ] {
            assert_eq!(resolve(pointer, &value), Some(found), "{pointer}");
        }
        for pointer in
            ["foo", "/foo/00", "/foo/2", "/foo/-", "/foo/+1", "/m~n", "/m~", "/x", "/foo/0/0", "//"]
        {
            assert_eq!(resolve(pointer, &value), None, "{pointer}");
        }
    }

    /// RFC 8620 §3.7
    #[test]
    fn a_star_goes_through_arrays() {
        let value =
            json!({"list": [{"id": 1, "ids": [1, 2]}, {"id": 2, "ids": [3]}, {"id": 3, "ids": []}], "*": 5});
        for (pointer, found) in [
            ("/list/*/id", json!([1, 2, 3])),
            ("/list/*/ids", json!([1, 2, 3])),
            ("/list/*/ids/*", json!([1, 2, 3])),
            ("/*", json!(5)),
        ] {
            assert_eq!(resolve(pointer, &value), Some(found), "{pointer}");
        }
        assert_eq!(resolve("/list/*/none", &value), None);
        assert_eq!(resolve("/list/*/id/*", &value), None);
    }

    #[test]
    fn copies_take_no_more_than_there_is_room() {
        let value = json!({"list": vec![json!("x".repeat(100)); 100]});
        let pointer = Pointer::parse("/list/*").unwrap();
        let mut room = 20_000;
        assert!(pointer.resolve(&value, &mut room).is_some());
        assert!(room < 10_000);
        assert_eq!(pointer.resolve(&value, &mut room), None);
    }

    #[test]
    fn fault_49_what_leads_to_nothing_takes_room_as_well() {
        let value = json!({"list": vec![json!([]); 1_000]});
        let pointer = Pointer::parse("/list/*").unwrap();
        let mut room = 10_000;
        assert_eq!(pointer.resolve(&value, &mut room), Some(json!([])));
        assert_eq!(pointer.resolve(&value, &mut room), None);
    }
}
