//! Names as users and peers write them: addresses, domains, login names, folder names.

use directory::{Address, DomainName, LocalPart};
use mail::{MailboxName, MailboxPath};

use crate::world::{World, block_on};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = Address::parse(text) {
        let shown = address.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert_eq!(Address::parse(&shown).as_ref(), Ok(&address), "{shown:?} is read as another address");
    }
    if let Ok(domain) = DomainName::parse(text) {
        assert_eq!(DomainName::parse(domain.as_str()).as_ref(), Ok(&domain));
        domain.to_unicode();
    }
    if let Ok(local) = LocalPart::parse(text) {
        assert_eq!(LocalPart::parse(local.as_str()).as_ref(), Ok(&local));
    }
    if let Ok(name) = MailboxName::new(text) {
        assert_eq!(MailboxName::new(name.as_str()).as_ref(), Ok(&name));
    }
    if let Ok(path) = MailboxPath::parse(text) {
        assert_eq!(MailboxPath::parse(&path.to_string()).as_ref(), Ok(&path));
    }
    block_on(async {
        let world = World::new();
        // Refused or resolved; the store is there, so nothing else can happen.
        let _name_error = world.directory.resolve(text).await;
        // Nobody but alice has this name, however it is written.
        let found = world.directory.account_by_login(text).await.unwrap();
        let known = ["alice", "bob"].iter().any(|name| text.to_lowercase().contains(name));
        assert!(found.is_none() || known || !text.is_ascii(), "{text:?} is somebody's name");
    });
}
