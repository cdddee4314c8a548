//! The Session object (RFC 8620 §2).

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::departures::Terms;
use crate::wire::{Capability, Object, id};
use crate::{Limits, PollRequest, User};

/// The most mailboxes that an email is in, and how deep and how long their names can be: as `mail` has them.
const MAILBOXES_PER_EMAIL: usize = 32;

/// What there is besides what is the same everywhere.
pub(crate) struct Offer<'o> {
    pub(crate) limits: &'o Limits,
    /// On what terms mail is sent.
    pub(crate) terms: Terms,
    /// The key by which push services know this server, where they are used (RFC 9749 §3).
    pub(crate) application_server_key: Option<&'o str>,
}

/// The Session object of a user, for clients that have found it at `base`.
pub(crate) fn session(user: &User, offer: &Offer<'_>, base: &str) -> Value {
    let account = id::of_account(user.account());
    json!({
        "capabilities": capabilities(offer, base),
        "accounts": {
            account.as_str(): {
                "name": user.name(),
                "isPersonal": true,
                "isReadOnly": false,
                "accountCapabilities": account_capabilities(offer.limits, &offer.terms),
            }
        },
        "primaryAccounts": {
            Capability::Mail.urn(): account.as_str(),
            Capability::Submission.urn(): account.as_str(),
            Capability::VacationResponse.urn(): account.as_str(),
            Capability::Blob.urn(): account.as_str(),
            Capability::Quota.urn(): account.as_str(),
            Capability::Mdn.urn(): account.as_str(),
        },
        "username": user.name(),
        "apiUrl": format!("{base}/jmap/api"),
        "downloadUrl": format!("{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}"),
        "uploadUrl": format!("{base}/jmap/upload/{{accountId}}/"),
        "eventSourceUrl":
            format!("{base}/jmap/events?types={{types}}&closeafter={{closeafter}}&ping={{ping}}"),
        "state": state(user, offer),
    })
}

/// Changes with whatever the Session object says, wherever it was found.
pub(crate) fn state(user: &User, offer: &Offer<'_>) -> String {
    let mut hasher = DefaultHasher::new();
    // The order of members is that of their names: equal objects are equal texts.
    let account = account_capabilities(offer.limits, &offer.terms).to_string();
    (capabilities(offer, "").to_string(), account).hash(&mut hasher);
    (user.account().0, user.name()).hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

fn capabilities(offer: &Offer<'_>, base: &str) -> Value {
    let mut capabilities = Object::new();
    let mut offers = |capability: Capability, what| capabilities.insert(capability.urn().to_owned(), what);
    offers(Capability::Core, core(offer.limits));
    let plain = [
        Capability::Mail,
        Capability::Submission,
        Capability::VacationResponse,
        Capability::Blob,
        Capability::Quota,
        Capability::Mdn,
    ];
    for capability in plain {
        offers(capability, json!({}));
    }
    // The schemes differ by the same letter: ws and wss, http and https.
    let sockets = base.replacen("http", "ws", 1);
    offers(Capability::WebSocket, json!({"url": format!("{sockets}/jmap/ws"), "supportsPush": true}));
    let url = format!("{base}/jmap/poll?since={{since}}&types={{types}}&timeout={{timeout}}");
    offers(Capability::LongPoll, json!({"url": url, "maxTimeout": PollRequest::LONGEST}));
    if let Some(key) = offer.application_server_key {
        offers(Capability::WebPushVapid, json!({"applicationServerKey": key}));
    }
    Value::Object(capabilities)
}

fn core(limits: &Limits) -> Value {
    json!({
        "maxSizeUpload": limits.size_upload,
        "maxConcurrentUpload": limits.concurrent_upload,
        "maxSizeRequest": limits.size_request,
        "maxConcurrentRequests": limits.concurrent_requests,
        "maxCallsInRequest": limits.calls_in_request,
        "maxObjectsInGet": limits.objects_in_get,
        "maxObjectsInSet": limits.objects_in_set,
        "collationAlgorithms": crate::method::collation::NAMES,
    })
}

fn account_capabilities(limits: &Limits, terms: &Terms) -> Value {
    json!({
        Capability::Mail.urn(): {
            "maxMailboxesPerEmail": MAILBOXES_PER_EMAIL,
            "maxMailboxDepth": mail::MailboxPath::MAX_DEPTH,
            "maxSizeMailboxName": mail::MailboxName::MAX_LEN,
            "maxSizeAttachmentsPerEmail": limits.size_upload,
            "emailQuerySortOptions": crate::method::email::query::SORTS,
            "mayCreateTopLevelMailbox": true,
        },
        Capability::Submission.urn(): {
            "maxDelayedSend": terms.longest_hold.as_secs(),
            "submissionExtensions": terms.extensions,
        },
        Capability::Blob.urn(): {
            "maxSizeBlobSet": limits.size_upload,
            "maxDataSources": limits.data_sources,
            "supportedTypeNames": crate::method::blob::lookup::TYPES,
            "supportedDigestAlgorithms": crate::method::blob::digest::NAMES,
        },
        Capability::VacationResponse.urn(): {},
        Capability::Quota.urn(): {},
        Capability::Mdn.urn(): {},
    })
}
