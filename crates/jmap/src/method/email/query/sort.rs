//! How results are put in order (RFC 8621 §4.4.2).

use mail::search::{Order, SortKey, TextKey};
use types::Keyword;

use crate::error::MethodError;
use crate::method::collation;
use crate::wire::{Arguments, Object};

/// The properties that emails can be sorted by, as the session object tells.
pub(crate) const SORTS: [&str; 9] = [
    "receivedAt",
    "size",
    "from",
    "to",
    "subject",
    "sentAt",
    "hasKeyword",
    "allInThreadHaveKeyword",
    "someInThreadHaveKeyword",
];

/// Reads the comparators. What they leave equal has an order too, the same each time: the newer comes first.
pub(super) fn read(comparators: Vec<Object>) -> Result<Vec<Order>, MethodError> {
    collation::check_number(comparators.len())?;
    let mut sort: Vec<Order> = comparators.into_iter().map(comparator).collect::<Result<_, _>>()?;
    if sort.is_empty() {
        sort.push(Order::descending(SortKey::Received));
    }
    sort.push(Order::descending(SortKey::Email));
    Ok(sort)
}

fn comparator(members: Object) -> Result<Order, MethodError> {
    let mut arguments = Arguments::new(members);
    let property: String = arguments.required("property")?;
    let mut keyword = || {
        let text: String = arguments.required("keyword")?;
        let keyword = Keyword::new(&text);
        keyword.map_err(|error| MethodError::argument("keyword", format_args!("is none: {error}")))
    };
    let text = |text| SortKey::Text(text, collation::Collation::default());
    let key = match property.as_str() {
        "receivedAt" => SortKey::Received,
        "size" => SortKey::Size,
        "from" => text(TextKey::Correspondent("from")),
        "to" => text(TextKey::Correspondent("to")),
        "subject" => text(TextKey::Subject),
        "sentAt" => SortKey::Sent,
        "hasKeyword" => SortKey::Keyword(keyword()?),
        "allInThreadHaveKeyword" => SortKey::AllInThread(keyword()?),
        "someInThreadHaveKeyword" => SortKey::SomeInThread(keyword()?),
        _ => {
            return Err(MethodError::UnsupportedSort(format!("emails cannot be sorted by {property:?}")));
        }
    };
    // A comparator may have more properties than it needs (RFC 8620 §5.5), and clients send such.
    let (ascending, collation) = (arguments.or("isAscending", true)?, collation::read(&mut arguments)?);
    let key = match key {
        SortKey::Text(text, _) => SortKey::Text(text, collation),
        key => key,
    };
    Ok(Order { key, ascending })
}
