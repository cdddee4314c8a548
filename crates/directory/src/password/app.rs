//! App passwords: made here, of 120 random bits, shown once. One BLAKE3 tells whether one is right. With SCRAM the
//! client hashes what was typed, so only the form with hyphens and the one without are right there.

use std::fmt;

use types::{AccountId, Randomness, Timestamp};

use super::{Derivation, ScramKeys, load_credentials, prepare_scram};
use crate::account::find;
use crate::directory::Directory;
use crate::error::{Error, check_text};
use crate::password::{Protocol, Scopes};
use crate::table::{AppPasswordRow, CredentialRow, Credentials, Hidden, Scram, ScramRow};

/// Names an app password within its account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AppPasswordId(pub u32);

/// An app password, but for the password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppPassword {
    /// Names it within its account. Never reused.
    pub id: AppPasswordId,
    /// What its owner calls it.
    pub label: String,
    /// Since when it is here.
    pub created: Timestamp,
    /// When it was last used, give or take a day.
    pub last_used: Option<Timestamp>,
    /// What it is good for.
    pub scopes: Scopes,
}

/// A new app password. Nobody can show it again.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAppPassword {
    /// Names it within its account.
    pub id: AppPasswordId,
    /// The password, in six groups of four letters and digits. Case, hyphens and spaces make no difference.
    pub password: String,
}

impl fmt::Debug for NewAppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAppPassword").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AppPassword {
    /// The most app passwords of one account.
    pub const MAX: usize = 50;
    const LABEL: usize = 100;
}

impl Directory {
    /// Makes an app password. The label has 1 to 100 octets.
    pub async fn create_app_password(
        &self,
        account: AccountId,
        label: &str,
        scopes: Scopes,
    ) -> Result<NewAppPassword, Error> {
        check_text("a label", label, AppPassword::LABEL)?;
        let plain = generate();
        let password = grouped(&plain);
        let hash = hash(account, &plain);
        let scram = &self.app_keys(account, [&password, &plain]).await?;
        let now = self.clock.now();
        let id = self
            .change_secrets(account, |row, keys| {
                if row.app_passwords.len() >= AppPassword::MAX {
                    return Err(Error::TooMany {
                        what: "app passwords of an account",
                        limit: AppPassword::MAX,
                    });
                }
                let id = AppPasswordId(row.next_app_password);
                row.next_app_password = id.0.saturating_add(1);
                row.app_passwords.push(AppPasswordRow {
                    id: id.0,
                    label: label.to_owned(),
                    created: now,
                    last_used: None,
                    scopes,
                    hash: Hidden((*hash.as_bytes()).into()),
                });
                if let Some((derivation, made)) = scram {
                    let all = keys.get_or_insert_with(|| ScramRow::new(account, *derivation));
                    // If the account has another derivation by now, this app password is good for all but SCRAM.
                    if all.derivation == *derivation {
                        all.add_app(id, made.clone());
                    }
                }
                Ok(id)
            })
            .await?;
        Ok(NewAppPassword { id, password })
    }

    /// The SCRAM keys of a new app password, in each of the forms in which it is typed most.
    async fn app_keys(
        &self,
        account: AccountId,
        forms: [&str; 2],
    ) -> Result<Option<(Derivation, Vec<ScramKeys>)>, Error> {
        let (name, _) = self.name_of(account).await?;
        let row = self.load_scram(&name, account).await?;
        let Some(fresh) = self.derivation(&name.to_string()).await? else { return Ok(None) };
        let derivation = row.map_or(fresh, |row| row.derivation);
        let forms = forms.map(prepare_scram).into();
        Ok(Some((derivation, self.keys_of(derivation, forms).await?)))
    }

    /// An account's app passwords, in the order in which they were made.
    pub async fn app_passwords(&self, account: AccountId) -> Result<Vec<AppPassword>, Error> {
        self.kv
            .run(|tx| async move {
                let (name, _) = find(&tx, account).await?.ok_or(Error::NoSuchAccountId(account))?;
                let row = load_credentials(&tx, &name, account).await?;
                let shown = row.app_passwords.into_iter().map(|app| AppPassword {
                    id: AppPasswordId(app.id),
                    label: app.label,
                    created: app.created,
                    last_used: app.last_used,
                    scopes: app.scopes,
                });
                Ok(shown.collect())
            })
            .await
    }

    /// Takes an app password back: it is refused from the next login on.
    pub async fn revoke_app_password(&self, account: AccountId, id: AppPasswordId) -> Result<(), Error> {
        self.change_secrets(account, |row, keys| {
            let before = row.app_passwords.len();
            row.app_passwords.retain(|app| app.id != id.0);
            if let Some(keys) = keys {
                keys.remove_app(id);
            }
            if row.app_passwords.len() == before { Err(Error::NoSuchAppPassword(id.0)) } else { Ok(()) }
        })
        .await
    }

    /// Notes that an app password is in use, unless that was noted less than a day ago.
    pub(crate) async fn note_use(&self, account: AccountId, app: &AppPasswordRow) -> Result<(), Error> {
        let now = self.clock.now();
        let lately = |at: Option<Timestamp>| at.is_some_and(|at| at.plus(NOTED_EVERY) > now);
        if lately(app.last_used) {
            return Ok(());
        }
        self.change_secrets(account, |row, _| {
            if let Some(app) = row.app_passwords.iter_mut().find(|other| other.id == app.id) {
                app.last_used = Some(now);
            }
            Ok(())
        })
        .await
    }

    async fn change_secrets<T>(
        &self,
        account: AccountId,
        change: impl Fn(&mut CredentialRow, &mut Option<ScramRow>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let change = &change;
        self.kv
            .run(|tx| async move {
                let (name, _) = find(&tx, account).await?.ok_or(Error::NoSuchAccountId(account))?;
                let mut row = load_credentials(&tx, &name, account).await?;
                let before = tx.load::<Scram>(&name).await?.filter(|keys| keys.account == account);
                let mut keys = before.clone();
                let result = change(&mut row, &mut keys)?;
                tx.save::<Credentials>(&name, &row)?;
                if let Some(keys) = keys.filter(|keys| before.as_ref() != Some(keys)) {
                    tx.save::<Scram>(&name, &keys)?;
                }
                Ok(result)
            })
            .await
    }
}

const NOTED_EVERY: std::time::Duration = std::time::Duration::from_hours(24);

/// The app password that `secret` is, if it is one and good for the protocol. All are compared, each in constant
/// time.
pub(crate) fn matching<'a>(
    row: &'a CredentialRow,
    secret: &str,
    protocol: Protocol,
) -> Option<&'a AppPasswordRow> {
    let hash = hash(row.account, &plain(secret)?);
    let right = |app: &AppPasswordRow| hash == blake3::Hash::from_bytes(*app.hash.0);
    let found = row.app_passwords.iter().fold(None, |found, app| if right(app) { Some(app) } else { found });
    found.filter(|app| app.scopes.contains(protocol))
}

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LETTERS: usize = 24;

/// The bare letters of a new app password. None of them is easily taken for another.
fn generate() -> String {
    let random = Randomness::bytes::<LETTERS>();
    random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32))).map(|c| char::from(*c)).collect()
}

fn grouped(plain: &str) -> String {
    let mut grouped = String::with_capacity(LETTERS + 5);
    for (at, c) in plain.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(c);
    }
    grouped
}

/// The bare letters, if `secret` has the form of an app password.
fn plain(secret: &str) -> Option<String> {
    if secret.len() > 2 * LETTERS {
        return None;
    }
    let letters = secret.bytes().filter(|b| !matches!(b, b'-' | b' ')).map(|b| b.to_ascii_lowercase());
    let plain: Vec<u8> = letters.collect();
    let fits = plain.len() == LETTERS && plain.iter().all(|b| ALPHABET.contains(b));
    if fits { String::from_utf8(plain).ok() } else { None }
}

/// What is kept of an app password. The account is part of it: nobody can tell that two are the same.
fn hash(account: AccountId, plain: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_derive_key("magpie directory app password 1");
    hasher.update(&account.to_be_bytes());
    hasher.update(plain.as_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_typed_forms_are_one_password() {
        let made = generate();
        let shown = grouped(&made);
        assert_eq!(shown.len(), 29);
        for typed in [shown.clone(), shown.to_uppercase(), shown.replace('-', " "), made.clone()] {
            assert_eq!(plain(&typed).as_ref(), Some(&made), "{typed}");
        }
        for other in ["", "hunter2", &shown[1..], &format!("{shown}a"), &"é".repeat(12), &"-".repeat(99)] {
            assert_eq!(plain(other), None, "{other}");
        }
        assert_ne!(hash(AccountId(1), &made), hash(AccountId(2), &made));
    }
}
