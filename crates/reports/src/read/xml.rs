//! XML as reports need it: elements with text in them, told in their order. Attributes and namespaces say nothing that is
//! wanted, and are passed over.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::Unread;

/// The most elements within each other. Reports have 6.
const DEPTH: usize = 16;
/// The most elements, comments and pieces of text.
const EVENTS: usize = 2_000_000;
/// The longest text that is kept, in octets.
const TEXT: usize = 1_024;
/// The longest name of an element, in octets.
const NAME: usize = 64;

/// What is told of a document.
pub(super) trait Listener {
    /// An element begins; it is the last of these names, which are those of the elements around it.
    fn open(&mut self, path: &[String]);
    /// It ends, and had this text in it, without that of the elements in it.
    fn close(&mut self, path: &[String], text: &str);
}

/// Reads a document to its end.
pub(super) fn walk(text: &str, listener: &mut impl Listener) -> Result<(), Unread> {
    let mut reader = Reader::from_str(text);
    let (mut path, mut texts) = (Vec::<String>::new(), Vec::<String>::new());
    let mut roots = 0;
    for _ in 0..EVENTS {
        let event =
            reader.read_event().map_err(|_| Unread::Malformed("a tag is not closed, or not opened"))?;
        match event {
            Event::Start(tag) => {
                roots += usize::from(path.is_empty());
                begin(tag.local_name().as_ref(), &mut path, &mut texts)?;
                listener.open(&path);
            }
            Event::Empty(tag) => {
                roots += usize::from(path.is_empty());
                begin(tag.local_name().as_ref(), &mut path, &mut texts)?;
                listener.open(&path);
                end(&mut path, &mut texts, listener);
            }
            Event::End(_) => end(&mut path, &mut texts, listener),
            Event::Text(text) => add(&mut texts, &text.into_inner()),
            Event::CData(text) => add(&mut texts, &text.into_inner()),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character,
                    Ok(None) => predefined(&reference).ok_or(Unread::Entities)?,
                    Err(_) => return Err(Unread::Malformed("a reference is no character")),
                };
                add(&mut texts, character.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(Unread::Entities),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if path.is_empty() && roots == 1 => return Ok(()),
            Event::Eof => return Err(Unread::Malformed("it ends too early, or is no single document")),
        }
    }
    Err(Unread::TooDeep)
}

/// The entities that XML itself has (§4.6).
fn predefined(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn begin(name: &str, path: &mut Vec<String>, texts: &mut Vec<String>) -> Result<(), Unread> {
    if path.len() >= DEPTH || name.len() > NAME {
        return Err(Unread::TooDeep);
    }
    path.push(name.to_owned());
    texts.push(String::new());
    Ok(())
}

fn end(path: &mut Vec<String>, texts: &mut Vec<String>, listener: &mut impl Listener) {
    if let Some(text) = texts.pop() {
        listener.close(path, text.trim());
    }
    path.pop();
}

fn add(texts: &mut [String], more: &str) {
    if let Some(text) = texts.last_mut() {
        let more = if text.is_empty() { more.trim_start() } else { more };
        let room = TEXT.saturating_sub(text.len());
        let cut = (0..=room.min(more.len())).rev().find(|at| more.is_char_boundary(*at)).unwrap_or(0);
        text.push_str(more.get(..cut).unwrap_or_default());
    }
}
