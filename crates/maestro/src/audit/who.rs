//! Who gives the commands.

use std::env::VarError;
use std::fs;

/// Variables that may say so, in the order in which Python's `getpass` asks them.
const VARIABLES: [&str; 4] = ["LOGNAME", "USER", "LNAME", "USERNAME"];

/// The caller's login name: the first of these variables that says something, else what the system calls the user.
pub fn who() -> String {
    let user = rustix::process::getuid().as_raw();
    who_is(|name| std::env::var(name), user, || fs::read_to_string("/etc/passwd").unwrap_or_default())
}

fn who_is(
    variable: impl Fn(&str) -> Result<String, VarError>,
    user: u32,
    accounts: impl FnOnce() -> String,
) -> String {
    let named = VARIABLES.iter().filter_map(|name| variable(name).ok()).find(|name| !name.is_empty());
    named.or_else(|| account(&accounts(), user)).unwrap_or_else(|| format!("user {user}"))
}

/// The name of a user in the form of `/etc/passwd`.
fn account(accounts: &str, user: u32) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (!name.is_empty() && number.parse() == Ok(user)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/bash\n\n:x:7:\nops:x:1000:1000::/home/ops:/bin/sh\n";

    fn asked(variables: &[(&str, &str)], user: u32) -> String {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        };
        who_is(variable, user, || ACCOUNTS.to_owned())
    }

    #[test]
    fn variables_come_first_and_in_order() {
        assert_eq!(asked(&[("USERNAME", "d"), ("USER", "b"), ("LOGNAME", "a")], 0), "a");
        assert_eq!(asked(&[("USERNAME", "d"), ("USER", "b"), ("LOGNAME", "")], 0), "b");
        assert_eq!(asked(&[("USERNAME", "d"), ("LNAME", "c")], 0), "c");
        assert_eq!(asked(&[], 1000), "ops");
        assert_eq!(asked(&[("USER", "")], 7), "user 7");
    }
}
