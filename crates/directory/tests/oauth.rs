//! What apps are granted by OAuth: who gets a token, for how long it holds, and what ends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use directory::sasl::{ChannelBindings, Error, Exchange, Mechanism, Progress, Response};
use directory::{
    AccountState, AuthError, BearerError, Challenge, CodeRequest, Directory, LoginLimits, NewOAuthClient,
    NewPassword, OAuthClient, OAuthError, OAuthOptions, Options, Owner, PageRequest, Protocol, Rate,
    RedirectUri, RegistrationError, SCOPE_MAIL, Scopes, Tokens, scope_text, scopes_named,
};
use types::AccountId;
use world::{World, domain, options};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const REDIRECT: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

struct Scene {
    world: World,
    alice: AccountId,
    client: OAuthClient,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            default_domain: Some(domain("example.test")),
            oauth: Some(OAuthOptions::default()),
            ..options()
        };
        change(&mut options);
        let world = World::with(options, None).with_domain().await;
        let alice = world.account_with("alice@example.test", "secret").await;
        let client = register(&world.directory, "app").await;
        Self { world, alice, client }
    }

    fn directory(&self) -> &Directory {
        &self.world.directory
    }

    async fn owner(&self) -> Owner {
        self.directory().consent("alice", "secret", PEER).await.unwrap()
    }

    async fn code(&self) -> String {
        code(self.directory(), &self.owner().await, &self.client).await
    }

    async fn redeem(&self, code: &str) -> Result<Tokens, OAuthError> {
        self.directory().redeem_oauth_code("app", code, REDIRECT, VERIFIER, PEER).await
    }

    async fn tokens(&self) -> Tokens {
        self.redeem(&self.code().await).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Result<Tokens, OAuthError> {
        self.directory().refresh_tokens("app", token, PEER).await
    }

    async fn holds(&self, token: &str) -> bool {
        match self.directory().authenticate_bearer(token, PEER, Protocol::Jmap).await {
            Ok(login) => {
                assert_eq!(login.account(), self.alice);
                true
            }
            Err(BearerError::Invalid) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// How many rows OAuth has, but for clients and the secret.
    async fn rows(&self) -> usize {
        let tx = self.world.kv.read().await.unwrap();
        let rows = tx.range(store::kv::Range::prefix(b"do")).all().await.unwrap();
        rows.iter().filter(|(key, _)| !key.starts_with(b"doc")).count()
    }
}

async fn register(directory: &Directory, id: &str) -> OAuthClient {
    let redirects = vec![RedirectUri::parse(REDIRECT).unwrap()];
    let new = NewOAuthClient { id: Some(id.to_owned()), name: format!("The {id}"), redirects, device: true };
    directory.create_oauth_client(new).await.unwrap()
}

fn mail() -> Scopes {
    scopes_named(Some(SCOPE_MAIL)).unwrap()
}

async fn code(directory: &Directory, owner: &Owner, client: &OAuthClient) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let challenge = Challenge::parse(&challenge).unwrap();
    let request = CodeRequest { client, redirect: REDIRECT, challenge, scopes: mail() };
    directory.create_oauth_code(owner, &request).await.unwrap()
}

fn is_refused(result: Result<Tokens, OAuthError>) -> bool {
    matches!(result, Err(OAuthError::Grant(_)))
}

#[tokio::test]
async fn a_code_becomes_tokens_that_let_in() {
    let scene = Scene::new().await;
    let tokens = scene.tokens().await;
    assert_eq!((tokens.lifetime, scope_text(tokens.scopes)), (Duration::from_hours(1), SCOPE_MAIL));
    for protocol in Protocol::ALL {
        let login = scene.directory().authenticate_bearer(&tokens.access, PEER, protocol).await.unwrap();
        assert_eq!((login.account(), login.scope()), (scene.alice, protocol));
        assert_eq!(login.address().to_string(), "alice@example.test");
        assert_eq!(login.until(), Some(scene.world.clock.now().plus(tokens.lifetime)));
    }
    assert!(!scene.holds(&tokens.refresh).await);
    let shown = format!("{tokens:?}");
    assert!(!shown.contains(&tokens.access) && !shown.contains(&tokens.refresh), "{shown}");
    let grants = scene.directory().grants(scene.alice).await.unwrap();
    assert_eq!(grants.len(), 1);
    assert_eq!((grants[0].client.as_str(), grants[0].client_name.as_deref()), ("app", Some("The app")));
}

#[tokio::test]
async fn a_code_is_for_one_client_one_place_and_one_verifier() {
    let scene = Scene::new().await;
    register(scene.directory(), "other").await;
    for (client, redirect, verifier) in [
        ("other", REDIRECT, VERIFIER),
        ("app", "https://app.example/other", VERIFIER),
        ("app", "", VERIFIER),
        ("app", REDIRECT, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"),
        ("app", REDIRECT, ""),
    ] {
        let code = scene.code().await;
        let redeemed = scene.directory().redeem_oauth_code(client, &code, redirect, verifier, PEER).await;
        assert!(is_refused(redeemed), "{client} {redirect} {verifier}");
        // Whoever has it, it is worth nothing now.
        assert!(is_refused(scene.redeem(&code).await));
    }
    let late = scene.code().await;
    scene.world.hand.advance(Duration::from_mins(1));
    assert!(is_refused(scene.redeem(&late).await));
    assert!(is_refused(scene.redeem("mac_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await));
    assert!(scene.directory().grants(scene.alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_code_that_comes_again_ends_what_became_of_it() {
    let scene = Scene::new().await;
    let others = scene.tokens().await;
    let code = scene.code().await;
    let tokens = scene.redeem(&code).await.unwrap();
    assert!(scene.holds(&tokens.access).await);
    assert!(is_refused(scene.redeem(&code).await));
    assert!(!scene.holds(&tokens.access).await);
    assert!(is_refused(scene.refresh(&tokens.refresh).await));
    assert!(scene.holds(&others.access).await);
}

#[tokio::test]
async fn a_refresh_token_holds_once_and_ends_everything_when_it_comes_again() {
    let scene = Scene::new().await;
    let first = scene.tokens().await;
    register(scene.directory(), "other").await;
    assert!(is_refused(scene.directory().refresh_tokens("other", &first.refresh, PEER).await));
    let second = scene.refresh(&first.refresh).await.unwrap();
    assert_ne!((&first.access, &first.refresh), (&second.access, &second.refresh));
    assert!(scene.holds(&first.access).await && scene.holds(&second.access).await);
    let third = scene.refresh(&second.refresh).await.unwrap();
    // However long ago it was used.
    assert!(is_refused(scene.refresh(&first.refresh).await));
    for tokens in [&first, &second, &third] {
        assert!(!scene.holds(&tokens.access).await);
        assert!(is_refused(scene.refresh(&tokens.refresh).await));
    }
    assert!(scene.directory().grants(scene.alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn tokens_and_grants_have_their_time() {
    let scene = Scene::new().await;
    let tokens = scene.tokens().await;
    scene.world.hand.advance(Duration::from_mins(59));
    assert!(scene.holds(&tokens.access).await);
    scene.world.hand.advance(Duration::from_mins(1));
    assert!(!scene.holds(&tokens.access).await);
    let mut refresh = tokens.refresh;
    // What is used does not end.
    for _ in 0..10 {
        scene.world.hand.advance(Duration::from_hours(24 * 60));
        scene.directory().sweep_grants().await.unwrap();
        refresh = scene.refresh(&refresh).await.unwrap().refresh;
    }
    scene.world.hand.advance(Duration::from_hours(24 * 91));
    assert!(is_refused(scene.refresh(&refresh).await));
    scene.directory().sweep_grants().await.unwrap();
    assert_eq!(scene.rows().await, 0);
    assert!(scene.directory().grants(scene.alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_one_grant_few_access_tokens_hold() {
    let scene = Scene::new().await;
    let mut all = vec![scene.tokens().await];
    for _ in 0..6 {
        // What was remembered of the first must not keep it alive.
        assert!(scene.holds(&all.last().unwrap().access).await);
        all.push(scene.refresh(&all.last().unwrap().refresh).await.unwrap());
    }
    let mut holding = Vec::new();
    for tokens in &all {
        holding.push(scene.holds(&tokens.access).await);
    }
    assert_eq!(holding, [false, false, false, true, true, true, true]);
}

#[tokio::test]
async fn what_ends_a_grant_ends_its_tokens_at_once() {
    let scene = Scene::new().await;
    let directory = scene.directory();
    let password = |text: &str| NewPassword::Clear(text.to_owned());
    let tokens = scene.tokens().await;
    directory.revoke_token("nobody", &tokens.access).await.unwrap();
    directory.revoke_token("app", "mat_made-up").await.unwrap();
    assert!(scene.holds(&tokens.access).await);
    directory.revoke_token("app", &tokens.access).await.unwrap();
    assert!(!scene.holds(&tokens.access).await && is_refused(scene.refresh(&tokens.refresh).await));

    let tokens = scene.tokens().await;
    directory.revoke_token("app", &tokens.refresh).await.unwrap();
    assert!(!scene.holds(&tokens.access).await);

    let tokens = scene.tokens().await;
    let id = directory.grants(scene.alice).await.unwrap()[0].id;
    directory.revoke_grant(scene.alice, id).await.unwrap();
    assert!(!scene.holds(&tokens.access).await && directory.revoke_grant(scene.alice, id).await.is_err());

    let (tokens, code) = (scene.tokens().await, scene.code().await);
    directory.set_password(scene.alice, &password("secret")).await.unwrap();
    assert!(!scene.holds(&tokens.access).await && is_refused(scene.refresh(&tokens.refresh).await));
    assert!(is_refused(scene.redeem(&code).await), "agreed to with the password before");

    let tokens = scene.tokens().await;
    directory.set_state(scene.alice, AccountState::ReceiveOnly).await.unwrap();
    assert!(scene.holds(&tokens.access).await);
    let sending = directory.authenticate_bearer(&tokens.access, PEER, Protocol::Submission).await;
    assert_eq!(sending.unwrap_err(), BearerError::SendingBlocked);
    directory.set_state(scene.alice, AccountState::Disabled).await.unwrap();
    assert!(!scene.holds(&tokens.access).await);
    directory.set_state(scene.alice, AccountState::Active).await.unwrap();
    assert!(!scene.holds(&tokens.access).await, "it came back with the account");

    let tokens = scene.tokens().await;
    directory.remove_oauth_client("app").await.unwrap();
    assert!(!scene.holds(&tokens.access).await);
    scene.world.hand.advance(Duration::from_millis(1));
    register(directory, "app").await;
    assert!(!scene.holds(&tokens.access).await, "it came back with another client of this id");
    let client = directory.oauth_client("app").await.unwrap().unwrap();
    let last = self::code(directory, &scene.owner().await, &client).await;
    let tokens = scene.redeem(&last).await.unwrap();
    directory.delete_account(scene.alice).await.unwrap();
    assert!(!scene.holds(&tokens.access).await);
    scene.world.hand.advance(Duration::from_hours(2400));
    directory.sweep_grants().await.unwrap();
    assert_eq!(scene.rows().await, 0);
}

#[tokio::test]
async fn a_connection_is_asked_whether_it_may_stay() {
    let scene = Scene::new().await;
    let directory = scene.directory();
    let tokens = scene.tokens().await;
    let by_token = directory.authenticate_bearer(&tokens.access, PEER, Protocol::Jmap).await.unwrap();
    let by_password = directory.authenticate("alice", "secret", PEER, Protocol::Jmap).await.unwrap();
    let app = directory.create_app_password(scene.alice, "app", Scopes::MAIL_APP).await.unwrap();
    let by_app = directory.authenticate("alice", &app.password, PEER, Protocol::Imap).await.unwrap();
    for login in [&by_token, &by_password, &by_app] {
        assert!(directory.still_holds(login).await.unwrap());
    }
    scene.world.hand.advance(Duration::from_hours(1));
    assert!(!directory.still_holds(&by_token).await.unwrap());
    let tokens = scene.refresh(&tokens.refresh).await.unwrap();
    let by_token = directory.authenticate_bearer(&tokens.access, PEER, Protocol::Jmap).await.unwrap();
    directory.revoke_token("app", &tokens.access).await.unwrap();
    assert!(!directory.still_holds(&by_token).await.unwrap());
    directory.set_password(scene.alice, &NewPassword::Clear("other".to_owned())).await.unwrap();
    assert!(!directory.still_holds(&by_password).await.unwrap());
    assert!(directory.still_holds(&by_app).await.unwrap());
    directory.revoke_app_password(scene.alice, app.id).await.unwrap();
    assert!(!directory.still_holds(&by_app).await.unwrap());
}

#[tokio::test]
async fn only_the_password_itself_grants() {
    let scene = Scene::new().await;
    let all = Scopes::MAIL_APP.with(Protocol::Jmap);
    let app = scene.directory().create_app_password(scene.alice, "app", all).await.unwrap();
    for secret in [app.password.as_str(), "wrong", ""] {
        let refused = scene.directory().consent("alice", secret, PEER).await;
        assert_eq!(refused.unwrap_err(), AuthError::Refused);
    }
    assert!(scene.directory().consent("nobody", "secret", PEER).await.is_err());
}

#[tokio::test]
async fn a_device_is_let_in_by_its_owner() {
    let scene = Scene::new().await;
    let directory = scene.directory();
    let begin = || directory.begin_device(&scene.client, mail(), PEER);
    let ask = |code: String| async move { directory.redeem_device_code("app", &code, PEER).await };
    let codes = begin().await.unwrap();
    let question = directory.device_question(&codes.user.to_lowercase(), PEER).await.unwrap();
    assert_eq!((&question.user_code, question.client.id.as_str()), (&codes.user, "app"));
    assert_eq!(ask(codes.device.clone()).await, Err(OAuthError::Pending));
    let slower = |secs| Err(OAuthError::SlowDown { interval: Duration::from_secs(secs) });
    assert_eq!(ask(codes.device.clone()).await, slower(10));
    scene.world.hand.advance(Duration::from_secs(9));
    assert_eq!(ask(codes.device.clone()).await, slower(15));
    scene.world.hand.advance(Duration::from_secs(15));
    assert_eq!(ask(codes.device.clone()).await, Err(OAuthError::Pending));
    assert!(is_refused(directory.redeem_device_code("other", &codes.device, PEER).await));
    directory.decide_device(&codes.user, Some(&scene.owner().await)).await.unwrap();
    assert_eq!(directory.decide_device(&codes.user, None).await, Err(OAuthError::UserCode));
    let tokens = ask(codes.device.clone()).await.unwrap();
    assert!(scene.holds(&tokens.access).await);
    assert!(is_refused(ask(codes.device).await));
    assert!(!scene.holds(&tokens.access).await, "the code was used twice");

    let codes = begin().await.unwrap();
    directory.decide_device(&codes.user, None).await.unwrap();
    assert_eq!(ask(codes.device).await, Err(OAuthError::Denied));
    let codes = begin().await.unwrap();
    scene.world.hand.advance(Duration::from_mins(10));
    assert_eq!(ask(codes.device).await, Err(OAuthError::Expired));
    assert_eq!(directory.device_question(&codes.user, PEER).await, Err(OAuthError::UserCode));
    let mut client = scene.client.clone();
    client.device = false;
    let refused = directory.begin_device(&client, mail(), PEER).await;
    assert!(matches!(refused, Err(OAuthError::ClientUse)));
    scene.world.hand.advance(Duration::from_hours(48));
    directory.sweep_grants().await.unwrap();
    assert_eq!(scene.rows().await, 0);
}

#[tokio::test]
async fn what_is_made_up_is_counted_and_what_has_run_out_is_not() {
    let rate = Rate { failures: 5, window: Duration::from_mins(10) };
    let limits = LoginLimits { per_name: None, per_peer: Some(rate) };
    let scene = Scene::with(|options| options.login_limits = limits).await;
    let directory = scene.directory();
    let tokens = scene.tokens().await;
    scene.world.hand.advance(Duration::from_hours(1));
    for _ in 0..20 {
        assert!(!scene.holds(&tokens.access).await);
    }
    for n in 0..5 {
        let made_up = format!("mat_{}", n.to_string().repeat(43));
        assert!(!scene.holds(&made_up).await);
    }
    let login = directory.authenticate_bearer(&tokens.access, PEER, Protocol::Imap).await;
    assert!(matches!(login, Err(BearerError::RateLimited { .. })));
    assert!(matches!(scene.refresh(&tokens.refresh).await, Err(OAuthError::RateLimited { .. })));
    // Passwords and user codes have their own limits, and other peers theirs.
    assert_eq!(directory.device_question("BCDF-GHJK", PEER).await, Err(OAuthError::UserCode));
    assert!(directory.authenticate("alice", "secret", PEER, Protocol::Imap).await.is_ok());
    let elsewhere = "198.51.100.7".parse().unwrap();
    assert!(directory.refresh_tokens("app", &tokens.refresh, elsewhere).await.is_ok());
    for _ in 0..30 {
        directory.begin_device(&scene.client, mail(), elsewhere).await.unwrap();
    }
    let more = directory.begin_device(&scene.client, mail(), elsewhere).await;
    assert!(matches!(more, Err(OAuthError::RateLimited { .. })));
}

#[tokio::test]
async fn guesses_of_user_codes_are_counted_and_refuse_no_tokens() {
    let rate = Rate { failures: 5, window: Duration::from_mins(10) };
    let limits = LoginLimits { per_name: None, per_peer: Some(rate) };
    let scene = Scene::with(|options| options.login_limits = limits).await;
    let directory = scene.directory();
    let tokens = scene.tokens().await;
    let codes = directory.begin_device(&scene.client, mail(), PEER).await.unwrap();
    for letter in ["B", "C", "D", "F", "no code"] {
        let guess = letter.repeat(8);
        assert_eq!(directory.device_question(&guess, PEER).await, Err(OAuthError::UserCode), "{guess}");
    }
    let refused = directory.device_question(&codes.user, PEER).await;
    assert!(matches!(refused, Err(OAuthError::RateLimited { .. })));
    let elsewhere = "198.51.100.7".parse().unwrap();
    assert!(directory.device_question(&codes.user, elsewhere).await.is_ok());
    // Apps behind the same address notice nothing.
    assert!(scene.holds(&tokens.access).await);
    assert!(scene.refresh(&tokens.refresh).await.is_ok());
    let waits = directory.redeem_device_code("app", &codes.device, PEER).await;
    assert!(matches!(waits, Err(OAuthError::Pending)));
}

#[tokio::test]
async fn the_hundredth_and_first_grant_ends_the_one_that_nobody_uses() {
    let scene = Scene::new().await;
    let owner = scene.owner().await;
    let mut all = Vec::new();
    for _ in 0..101 {
        let code = code(scene.directory(), &owner, &scene.client).await;
        all.push(scene.redeem(&code).await.unwrap());
        scene.world.hand.advance(Duration::from_secs(1));
        if all.len() == 2 {
            let renewed = scene.refresh(&all[0].refresh).await.unwrap();
            all[0] = renewed;
        }
    }
    assert_eq!(scene.directory().grants(scene.alice).await.unwrap().len(), 100);
    assert!(scene.holds(&all[0].access).await && !scene.holds(&all[1].access).await);
    assert!(scene.holds(&all[2].access).await);
}

#[tokio::test]
async fn what_a_login_by_token_costs() {
    let scene = Scene::new().await;
    let tokens = scene.tokens().await;
    let (rounds, held) = scene.world.rounds(scene.holds(&tokens.access)).await;
    assert_eq!((rounds, held), (2, true));
    let (rounds, held) = scene.world.rounds(scene.holds(&tokens.access)).await;
    assert_eq!((rounds, held), (1, true));
    let (rounds, refreshed) = scene.world.rounds(scene.refresh(&tokens.refresh)).await;
    assert_eq!((rounds, refreshed.is_ok()), (2, true));
}

#[tokio::test]
async fn clients_are_registered_once() {
    let scene = Scene::new().await;
    let new = |id: &str, name: &str, redirects: &[&str], device| NewOAuthClient {
        id: Some(id.to_owned()),
        name: name.to_owned(),
        redirects: redirects.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
        device,
    };
    for bad in [
        new("app", "Again", &[REDIRECT], false),
        new("a b", "Space", &[REDIRECT], false),
        new("", "Nobody", &[REDIRECT], false),
        new("x", " ", &[REDIRECT], false),
        new("x", "Line\nfeed", &[REDIRECT], false),
        new("x", "Useless", &[], false),
        new("x", "Many", &[REDIRECT; 21], false),
    ] {
        assert!(scene.directory().create_oauth_client(bad.clone()).await.is_err(), "{bad:?}");
    }
    let nameless = NewOAuthClient { id: None, ..new("", "Made up", &[], true) };
    let made = scene.directory().create_oauth_client(nameless).await.unwrap();
    assert_eq!(made.id.len(), 24);
    let all = scene.directory().oauth_clients(&PageRequest::default()).await.unwrap().items;
    assert_eq!(all.len(), 2);
    assert!(scene.directory().remove_oauth_client("nobody").await.is_err());
    assert_eq!(scene.directory().oauth_client(&"x".repeat(600)).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_is_granted_where_it_is_turned_off() {
    let scene = Scene::new().await;
    let (tokens, code) = (scene.tokens().await, scene.code().await);
    let off = scene.world.node(options());
    let login = off.authenticate_bearer(&tokens.access, PEER, Protocol::Imap).await;
    assert_eq!(login.unwrap_err(), BearerError::Invalid);
    let redeemed = off.redeem_oauth_code("app", &code, REDIRECT, VERIFIER, PEER).await;
    assert_eq!(redeemed, Err(OAuthError::Off));
    assert!(!off.mechanisms(&ChannelBindings::NONE).contains(&Mechanism::OAuthBearer));
    let offered = scene.directory().mechanisms(&ChannelBindings::NONE);
    assert!(offered.contains(&Mechanism::OAuthBearer) && offered.contains(&Mechanism::XOAuth2));
}

#[tokio::test]
async fn a_token_lets_in_by_sasl() {
    let scene = Scene::with(|options| {
        let metadata = Some("https://mail.example.test/.well-known/oauth-authorization-server".to_owned());
        options.oauth = Some(OAuthOptions { metadata, ..OAuthOptions::default() });
    })
    .await;
    scene.world.account_with("bob@example.test", "secret").await;
    let token = scene.tokens().await.access;
    let respond = |exchange, text: String| {
        scene.directory().respond(exchange, Response::new(text.into_bytes()), PEER, Protocol::Imap)
    };
    let standard = |user: &str, token: &str| {
        (Mechanism::OAuthBearer, format!("n,a={user},\u{1}host=x\u{1}auth=Bearer {token}\u{1}\u{1}"))
    };
    let older = |user: &str, token: &str| {
        (Mechanism::XOAuth2, format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"))
    };
    for (mechanism, message) in [
        standard("alice@example.test", &token),
        standard("ALICE", &token),
        (Mechanism::OAuthBearer, format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}")),
        older("alice@example.test", &token),
    ] {
        match respond(Exchange::new(mechanism, &ChannelBindings::NONE), message.clone()).await.unwrap() {
            Progress::Admitted(login) => assert_eq!(login.account(), scene.alice),
            Progress::Challenge(_) => panic!("{message}"),
        }
    }
    for ((mechanism, message), answer) in [
        (standard("bob@example.test", &token), "\u{1}"),
        (standard("alice@example.test", "mat_x"), "\u{1}"),
        ((Mechanism::OAuthBearer, "n,,\u{1}auth=\u{1}\u{1}".to_owned()), "\u{1}"),
        (older("bob@example.test", &token), ""),
        (older("", &token), ""),
        (older("alice@example.test", "secret"), ""),
    ] {
        let exchange = Exchange::new(mechanism, &ChannelBindings::NONE);
        let Progress::Challenge(exchange) = respond(exchange, message.clone()).await.unwrap() else {
            panic!("{message}");
        };
        let told = String::from_utf8(STANDARD.decode(exchange.challenge()).unwrap()).unwrap();
        assert!(told.starts_with("{\"status\":\"") && told.contains(SCOPE_MAIL), "{told}");
        assert_eq!(told.contains("/.well-known/"), mechanism == Mechanism::OAuthBearer, "{told}");
        let refused = respond(exchange, answer.to_owned()).await;
        assert_eq!(refused.err(), Some(Error::Login(AuthError::Refused)), "{message}");
    }
}

#[tokio::test]
async fn a_client_that_registers_itself_stays_as_long_as_somebody_uses_it() {
    let registration = |options: &mut Options| {
        options.oauth = Some(OAuthOptions { registration: true, ..OAuthOptions::default() });
    };
    let scene = Scene::with(registration).await;
    let directory = scene.directory();
    let new = |name: &str| NewOAuthClient {
        id: Some("app".to_owned()),
        name: name.to_owned(),
        redirects: vec![RedirectUri::parse(REDIRECT).unwrap()],
        device: false,
    };
    for bad in ["", "a\u{202e}b", "a\nb"] {
        let refused = directory.register_oauth_client(new(bad), PEER).await;
        assert!(matches!(refused, Err(RegistrationError::Client(_))), "{bad}");
    }
    let unused = directory.register_oauth_client(new("Unused"), PEER).await.unwrap();
    let used = directory.register_oauth_client(new("Used"), PEER).await.unwrap();
    assert!(used.stranger && used.id != "app" && !scene.client.stranger);
    let code = code(directory, &scene.owner().await, &used).await;
    let mut tokens = directory.redeem_oauth_code(&used.id, &code, REDIRECT, VERIFIER, PEER).await.unwrap();
    for _ in 0..5 {
        scene.world.hand.advance(Duration::from_hours(24 * 60));
        directory.sweep_grants().await.unwrap();
        tokens = directory.refresh_tokens(&used.id, &tokens.refresh, PEER).await.unwrap();
    }
    assert_eq!(directory.oauth_client(&unused.id).await.unwrap(), None);
    assert!(directory.oauth_client(&used.id).await.unwrap().is_some());
    scene.world.hand.advance(Duration::from_hours(24 * 91));
    directory.sweep_grants().await.unwrap();
    assert_eq!(directory.oauth_client(&used.id).await.unwrap(), None);
    assert_eq!(
        (scene.rows().await, directory.oauth_clients(&PageRequest::default()).await.unwrap().items.len()),
        (0, 1)
    );

    for _ in 0..10 {
        directory.register_oauth_client(new("Many"), PEER).await.unwrap();
    }
    let more = directory.register_oauth_client(new("Many"), PEER).await;
    assert!(matches!(more, Err(RegistrationError::Refused(OAuthError::RateLimited { .. }))));
    let off = scene.world.node(Options { oauth: Some(OAuthOptions::default()), ..options() });
    let refused = off.register_oauth_client(new("Off"), PEER).await;
    assert!(matches!(refused, Err(RegistrationError::Refused(OAuthError::Off))));
}
