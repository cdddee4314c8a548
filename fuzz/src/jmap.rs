//! What a JMAP client may send: requests, pointers into earlier results, and the names of header properties.

use jmap::wire::{Bounds, Pointer, Request, date, id, json, state};
use jmap::{HeaderProperty, Limits};
use serde_json::Value;

/// A request of any octets is read within its limits, and what is read is what another parser reads.
pub fn request(data: &[u8]) {
    let limits = Limits { values: 1 << 20, ..Limits::default() };
    if let Err(problem) = Request::parse(data, &limits) {
        let details = problem.to_json();
        assert!(details["type"].as_str().is_some_and(|name| name.starts_with("urn:ietf:params:jmap:error:")));
    }
    let bounds = Bounds { depth: limits.depth, memory: limits.values };
    let Ok(value) = json::parse(data, bounds) else { return };
    let other: Value = serde_json::from_slice(data).expect("what is I-JSON is JSON");
    assert_eq!(value, other);
    assert!(json::weight(&value, usize::MAX) <= bounds.memory);
    // What leads somewhere in it leads to something that is in it.
    if let Some(text) = value.get("path").and_then(Value::as_str)
        && let Some(pointer) = Pointer::parse(text)
    {
        let mut room = bounds.memory;
        if let Some(found) = pointer.resolve(&value, &mut room) {
            assert!(json::weight(&found, usize::MAX) <= bounds.memory + 64);
        }
    }
}

/// Names that clients make up: properties, ids, states, dates.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, header) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(property) = HeaderProperty::parse(name) {
        let shown = property.value(header.as_bytes(), None);
        assert!(!property.all || shown.is_array());
        property.value(header.as_bytes(), Some("euc-kr"));
    }
    if let Some(blob) = id::BlobId::parse(name) {
        assert!(blob.to_string() == name && id::is_id(name));
    }
    if let Some(email) = id::email(name) {
        assert_eq!(id::of_email(email.email, email.thread), name);
    }
    if let Some(standing) = state::parse(name) {
        assert_eq!(state::to_text(standing), name);
    }
    if let Some(moment) = date::parse_utc(name) {
        assert!(date::parse_utc(&date::utc(moment)) == Some(moment));
    }
}
