//! `Email/parse` (RFC 8621 §4.9): messages that are not emails, such as those that others carry as attachments.

use mail::ingest;
use serde_json::Value;

use crate::blob;
use crate::context::{Context, object};
use crate::email::letter::Letter;
use crate::email::property::Property;
use crate::email::show::Plan;
use crate::error::{MethodError, TransferError};
use crate::method::blob::get::too_much;
use crate::method::get::{check_number, wanted_ids};
use crate::wire::arguments::Id;
use crate::wire::id::{self, BlobId};
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let ids: Vec<Id> = arguments.required("blobIds")?;
    check_number(ids.len(), context.limits.objects_in_get)?;
    let plan = Plan::read(Property::read_parsed(arguments.optional("properties")?)?, &mut arguments)?;
    arguments.end()?;
    let mail = context.mail().clone();
    let (mut parsed, mut not_parsable, mut not_found) = (Object::new(), Vec::new(), Vec::new());
    for text in wanted_ids(context, ids) {
        let Some(blob) = BlobId::parse(&text) else {
            not_found.push(text);
            continue;
        };
        let raw = match blob::extract(&mail, account, &blob, 0..u64::MAX).await {
            Ok(extract) if !context.spend_blob(extract.read) => return Err(too_much(context)),
            Ok(extract) => extract.octets,
            Err(TransferError::NotFound) => {
                not_found.push(text);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = ingest::metadata(&raw, &ingest::Limits::default());
        // Anything is read as well as it can be; what has no header field at all is no message.
        if metadata.header.fields.is_empty() && metadata.header.others.is_empty() {
            not_parsable.push(text);
            continue;
        }
        let mut letter = Letter::Parsed { raw, metadata: Box::new(metadata) };
        let mut shown = plan.show_unstored(&blob, letter.size()?);
        plan.show_content(&mut shown, &mut letter, &blob, &mail).await?;
        let shown = Value::Object(shown);
        context.spend(&shown)?;
        parsed.insert(text, shown);
    }
    let null_if_none = |list: Vec<String>| if list.is_empty() { Value::Null } else { list.into() };
    Ok(object([
        ("accountId", id::of_account(account).into()),
        ("parsed", if parsed.is_empty() { Value::Null } else { Value::Object(parsed) }),
        ("notParsable", null_if_none(not_parsable)),
        ("notFound", null_if_none(not_found)),
    ]))
}
