//! Random grants, refreshes, revocations and changes of accounts against a simple model, on a good store and on one that
//! fails in every allowed way; and many refreshes of one token at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use directory::{
    AccountState, BearerError, Challenge, CodeRequest, LoginLimits, NewOAuthClient, NewPassword, OAuthError,
    OAuthOptions, Options, Protocol, RedirectUri, Tokens, scopes_named,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use types::AccountId;
use world::{World, options};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const REDIRECT: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ACCESS: Duration = Duration::from_hours(1);
const REFRESH: Duration = Duration::from_hours(48);

/// A grant as the model sees it.
struct Granted {
    account: usize,
    /// All codes and tokens that it ever had; of the refresh tokens the last one holds, of the access tokens the last four.
    code: String,
    refresh: Vec<String>,
    access: Vec<(String, u64)>,
    /// When it is over, as far as that was noted: to a tenth of its lifetime.
    expires: u64,
    /// When its code was made.
    agreed: u64,
    ended: bool,
}

struct Account {
    id: AccountId,
    password: String,
    disabled: bool,
}

struct Game {
    world: World,
    rng: StdRng,
    accounts: Vec<Account>,
    grants: Vec<Granted>,
    /// Codes that nobody has redeemed: whose, when they were made, and whether the password has changed since.
    codes: Vec<(String, usize, u64, bool)>,
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

fn oauth_options() -> Options {
    let oauth = OAuthOptions {
        access_lifetime: ACCESS,
        refresh_lifetime: REFRESH,
        metadata: None,
        registration: false,
    };
    let login_limits = LoginLimits { per_name: None, per_peer: None };
    Options { oauth: Some(oauth), login_limits, ..options() }
}

impl Game {
    async fn new(chaos: Option<u64>, seed: u64) -> Self {
        let world = World::with(oauth_options(), chaos).with_domain().await;
        let mut accounts = Vec::new();
        for n in 0..3 {
            let id = world.account_with(&format!("user{n}@example.test"), "secret 0").await;
            accounts.push(Account { id, password: "secret 0".to_owned(), disabled: false });
        }
        let redirects = vec![RedirectUri::parse(REDIRECT).unwrap()];
        let id = Some("app".to_owned());
        let new = NewOAuthClient { id, name: "App".to_owned(), redirects, device: false };
        world.directory.create_oauth_client(new).await.unwrap();
        Self { world, rng: StdRng::seed_from_u64(seed), accounts, grants: Vec::new(), codes: Vec::new() }
    }

    fn now(&self) -> u64 {
        self.world.clock.now().0
    }

    fn is_over(&self, grant: &Granted) -> bool {
        grant.ended || self.now() >= grant.expires
    }

    /// Ends the grants of an account, and spoils its codes.
    fn end(&mut self, account: usize) {
        self.grants.iter_mut().filter(|grant| grant.account == account).for_each(|grant| grant.ended = true);
        self.codes.iter_mut().filter(|code| code.1 == account).for_each(|code| code.3 = true);
    }

    async fn agree(&mut self) {
        let at = self.rng.random_range(0..self.accounts.len());
        let login = format!("user{at}@example.test");
        let owner = self.world.directory.consent(&login, &self.accounts[at].password, PEER).await;
        assert_eq!(owner.is_ok(), !self.accounts[at].disabled, "{owner:?}");
        let Ok(owner) = owner else { return };
        let client = self.world.directory.oauth_client("app").await.unwrap().unwrap();
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let request = CodeRequest {
            client: &client,
            redirect: REDIRECT,
            challenge: Challenge::parse(&challenge).unwrap(),
            scopes: scopes_named(None).unwrap(),
        };
        let code = self.world.directory.create_oauth_code(&owner, &request).await.unwrap();
        self.codes.push((code, at, self.now(), false));
    }

    async fn redeem(&mut self) {
        if self.codes.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.codes.len());
        let (code, account, made, spoiled) = self.codes.remove(at);
        let right = self.rng.random_bool(0.8);
        let verifier = if right { VERIFIER } else { "x" };
        let redeemed = self.world.directory.redeem_oauth_code("app", &code, REDIRECT, verifier, PEER).await;
        let good = right && !spoiled && !self.accounts[account].disabled && self.now() < made + 60_000;
        assert_eq!(redeemed.is_ok(), good, "{redeemed:?}");
        if let Ok(tokens) = redeemed {
            let now = self.now();
            let (refresh, access) = (vec![tokens.refresh], vec![(tokens.access, now)]);
            let expires = now + millis(REFRESH);
            self.grants.push(Granted { account, code, refresh, access, expires, agreed: made, ended: false });
        }
    }

    async fn use_again(&mut self) {
        if self.grants.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.grants.len());
        let now = self.now();
        match self.rng.random_range(0..10) {
            // The code again.
            0 => {
                // It is recognised for an hour after it has run out.
                let is_known = now < self.grants[at].agreed + millis(Duration::from_mins(61));
                if !is_known {
                    self.world.directory.sweep_grants().await.unwrap();
                }
                let code = &self.grants[at].code;
                let redeemed =
                    self.world.directory.redeem_oauth_code("app", code, REDIRECT, VERIFIER, PEER).await;
                assert!(matches!(redeemed, Err(OAuthError::Grant(_))), "{redeemed:?}");
                self.grants[at].ended |= is_known;
            }
            // An old refresh token.
            1 if self.grants[at].refresh.len() > 1 => {
                let old = self.rng.random_range(0..self.grants[at].refresh.len() - 1);
                let refreshed = self.refresh(&self.grants[at].refresh[old]).await;
                assert!(matches!(refreshed, Err(OAuthError::Grant(_))), "{refreshed:?}");
                self.grants[at].ended = true;
            }
            2 => {
                let grant = &self.grants[at];
                let (access, made) = grant.access.last().unwrap();
                // An access token is recognised for a day after it has run out.
                let is_known = now < made + millis(ACCESS) + millis(Duration::from_hours(24));
                let by_access = self.rng.random_bool(0.5);
                if by_access && !is_known {
                    self.world.directory.sweep_grants().await.unwrap();
                }
                let token = if by_access { access } else { &grant.refresh[0] };
                self.world.directory.revoke_token("app", token).await.unwrap();
                self.grants[at].ended |= is_known || !by_access;
            }
            _ => {
                let refreshed = self.refresh(self.grants[at].refresh.last().unwrap()).await;
                assert_eq!(refreshed.is_ok(), !self.is_over(&self.grants[at]), "{refreshed:?}");
                if let Ok(tokens) = refreshed {
                    let grant = &mut self.grants[at];
                    grant.refresh.push(tokens.refresh);
                    grant.access.push((tokens.access, now));
                    let end = now + millis(REFRESH);
                    if grant.expires + millis(REFRESH) / 10 <= end {
                        grant.expires = end;
                    }
                }
            }
        }
    }

    async fn refresh(&self, token: &str) -> Result<Tokens, OAuthError> {
        self.world.directory.refresh_tokens("app", token, PEER).await
    }

    async fn change(&mut self) {
        let at = self.rng.random_range(0..self.accounts.len());
        let (directory, id) = (&self.world.directory, self.accounts[at].id);
        match self.rng.random_range(0..4) {
            0 => {
                let password = format!("secret {}", self.rng.random_range(0..3));
                directory.set_password(id, &NewPassword::Clear(password.clone())).await.unwrap();
                self.accounts[at].password = password;
                self.end(at);
            }
            1 => {
                directory.set_state(id, AccountState::Disabled).await.unwrap();
                self.accounts[at].disabled = true;
                self.grants.iter_mut().filter(|g| g.account == at).for_each(|grant| grant.ended = true);
            }
            2 => {
                directory.set_state(id, AccountState::Active).await.unwrap();
                self.accounts[at].disabled = false;
            }
            _ => {
                directory.sweep_grants().await.unwrap();
            }
        }
    }

    /// Every access token that ever was holds as the model says.
    async fn compare(&self) {
        let now = self.now();
        for grant in &self.grants {
            let over = self.is_over(grant);
            let newest = grant.access.len().saturating_sub(4);
            for (n, (token, made)) in grant.access.iter().enumerate() {
                let holds = !over && n >= newest && now < made + millis(ACCESS);
                let login = self.world.directory.authenticate_bearer(token, PEER, Protocol::Imap).await;
                match login {
                    Ok(login) => assert!(holds && login.account() == self.accounts[grant.account].id),
                    Err(BearerError::Invalid) => assert!(!holds),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        for (at, account) in self.accounts.iter().enumerate() {
            let shown = self.world.directory.grants(account.id).await.unwrap();
            let there = self.grants.iter().filter(|grant| grant.account == at && !self.is_over(grant));
            // Those that are over are shown until they are swept.
            let shown = shown.iter().filter(|grant| grant.expires.0 > now);
            assert_eq!(shown.count(), there.count());
        }
    }

    async fn play(mut self, steps: usize) {
        for n in 0..steps {
            match self.rng.random_range(0..100) {
                0..25 => self.agree().await,
                25..45 => self.redeem().await,
                45..85 => self.use_again().await,
                85..90 => self.change().await,
                _ => {
                    let minutes = [0, 1, 20, 90, 60 * 30][self.rng.random_range(0..5)];
                    self.world.hand.advance(Duration::from_mins(minutes));
                }
            }
            if n % 20 == 19 {
                self.compare().await;
            }
        }
        assert!(self.grants.iter().filter(|grant| grant.refresh.len() > 1).count() > 0);
        self.world.hand.advance(Duration::from_hours(24 * 100));
        self.world.directory.sweep_grants().await.unwrap();
        let tx = self.world.kv.read().await.unwrap();
        let rows = tx.range(store::kv::Range::prefix(b"do")).all().await.unwrap();
        assert_eq!(rows.iter().filter(|(key, _)| !key.starts_with(b"doc")).count(), 0);
    }
}

#[tokio::test]
async fn random_uses_of_tokens_agree_with_the_model() {
    for seed in 0..6 {
        Game::new(None, seed).await.play(300).await;
    }
}

#[tokio::test]
async fn random_uses_of_tokens_agree_with_the_model_on_bad_days() {
    for seed in 0..3 {
        Game::new(Some(seed), seed + 100).await.play(150).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_refreshes_of_one_token_at_once_one_works_and_the_others_end_the_grant() {
    for chaos in [None, Some(7)] {
        let mut game = Game::new(chaos, 1).await;
        while game.grants.is_empty() {
            game.agree().await;
            game.redeem().await;
        }
        let refresh = game.grants[0].refresh[0].clone();
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (directory, refresh) = (game.world.directory.clone(), refresh.clone());
                tokio::spawn(async move { directory.refresh_tokens("app", &refresh, PEER).await })
            })
            .collect();
        let mut granted = Vec::new();
        for task in tasks {
            granted.extend(task.await.unwrap());
        }
        assert_eq!(granted.len(), 1);
        let login = game.world.directory.authenticate_bearer(&granted[0].access, PEER, Protocol::Imap).await;
        assert_eq!(login.unwrap_err(), BearerError::Invalid);
    }
}
