//! `Email/parse` (RFC 8621 §4.9): messages that are not emails, such as those that others carry as attachments.

use serde_json::Value;

use crate::context::Context;
use crate::email::letter::Letter;
use crate::email::property::Property;
use crate::email::show::Plan;
use crate::error::MethodError;
use crate::method::parse::{Parsing, Source};
use crate::wire::{Arguments, Object};

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let account = context.account(&mut arguments)?;
    let mut parsing = Parsing::read(context, account, &mut arguments)?;
    let plan = Plan::read(Property::read_parsed(arguments.optional("properties")?)?, &mut arguments)?;
    arguments.end()?;
    let mail = context.mail().clone();
    while let Some(Source { name, blob, raw }) = parsing.next(context).await? {
        let metadata = mail.parse(&raw).await?;
        // Anything is read as well as it can be; what has no header field at all is no message.
        if metadata.header.fields.is_empty() && metadata.header.others.is_empty() {
            parsing.refuse(name);
            continue;
        }
        let mut letter = Letter::Parsed { raw, metadata: Box::new(metadata) };
        let mut shown = plan.show_unstored(&blob, letter.size()?);
        plan.show_content(&mut shown, &mut letter, &blob, &mail).await?;
        parsing.tell(context, name, Value::Object(shown))?;
    }
    Ok(parsing.answer())
}
