//! What Web Push says to apps (RFC 8620 §7.1, §7.2): read from the change log, as all channels do.

use std::error::Error as StdError;

use async_trait::async_trait;
use mail::{Mail, Standing, Subscription};
use push::{Changed, Source, SubscriptionId};
use serde_json::{Value, json};
use types::{AccountId, ModSeq};

use super::changed;
use crate::wire::{Object, id, state};

/// The capability (RFC 9749 §3).
pub const URN: &str = "urn:ietf:params:jmap:webpush-vapid";

/// Where Web Push learns what to say.
#[derive(Clone)]
pub struct PushSource(pub Mail);

#[async_trait]
impl Source for PushSource {
    fn follow(&self, account: AccountId) -> Subscription {
        self.0.subscribe(account)
    }

    async fn changed(
        &self,
        account: AccountId,
        since: ModSeq,
    ) -> Result<Changed, Box<dyn StdError + Send + Sync>> {
        // The state first: what changes meanwhile is found once more.
        let to = self.0.modseq(account).await?;
        let types = if to > since { changed(&self.0, account, since).await? } else { Vec::new() };
        Ok(Changed { to, types })
    }

    fn state_change(&self, account: AccountId, states: &[(String, ModSeq)]) -> String {
        let text = |modseq: ModSeq| Value::from(state::to_text(Standing::from(modseq)));
        let states: Object = states.iter().map(|(name, modseq)| (name.clone(), text(*modseq))).collect();
        json!({"@type": "StateChange", "changed": {id::of_account(account): states}}).to_string()
    }

    fn verification(&self, subscription: SubscriptionId, code: &str) -> String {
        let subscription = id::of_subscription(subscription);
        json!({"@type": "PushVerification", "pushSubscriptionId": subscription, "verificationCode": code})
            .to_string()
    }
}
