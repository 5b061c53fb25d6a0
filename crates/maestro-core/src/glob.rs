//! Patterns of names, as the command line and the file have them.

/// A pattern of the shell: `*`, `?`, `[seq]`, `[!seq]`, over the whole name and with case, like Python's `fnmatch`.
pub(crate) struct Glob {
    pattern: Vec<char>,
}

impl Glob {
    /// Any text is a pattern.
    pub(crate) fn new(pattern: &str) -> Self {
        Self { pattern: pattern.chars().collect() }
    }

    /// Whether the whole name is like the pattern.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // Where to go back to when the last `*` has to take one character more.
        let (mut p, mut t, mut retry) = (0, 0, None);
        while t < text.len() {
            match self.one(p, text[t]) {
                Some(next) => {
                    p = next;
                    t += 1;
                }
                None if self.pattern.get(p) == Some(&'*') => {
                    retry = Some((p, t));
                    p += 1;
                }
                None => match retry {
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        p = star + 1;
                        t = from + 1;
                    }
                    None => return false,
                },
            }
        }
        self.pattern[p..].iter().all(|c| *c == '*')
    }

    /// Whether the element at `p`, which is no `*`, takes this character; then where the next element begins.
    fn one(&self, p: usize, c: char) -> Option<usize> {
        match self.pattern.get(p)? {
            '*' => None,
            '?' => Some(p + 1),
            '[' => match self.class(p) {
                Some((end, inverted, set)) => (contains(set, c) != inverted).then_some(end),
                None => (c == '[').then_some(p + 1),
            },
            literal => (*literal == c).then_some(p + 1),
        }
    }

    /// The class that begins at `p`: where it ends, whether it is inverted, what is in it. None if it is not closed.
    fn class(&self, p: usize) -> Option<(usize, bool, &[char])> {
        let inverted = self.pattern.get(p + 1) == Some(&'!');
        let start = p + 1 + usize::from(inverted);
        // A bracket right at the start is a member.
        let end = (start + 1..self.pattern.len()).find(|i| self.pattern[*i] == ']')?;
        Some((end + 1, inverted, &self.pattern[start..end]))
    }
}

fn contains(set: &[char], c: char) -> bool {
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            if (set[i]..=set[i + 2]).contains(&c) {
                return true;
            }
            i += 3;
        } else {
            if set[i] == c {
                return true;
            }
            i += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_like_fnmatch() {
        for (pattern, text, expected) in [
            ("p-*", "p-1", true),
            ("p-*", "q-1", false),
            ("*", "", true),
            ("?", "", false),
            ("web-[12]", "web-2", true),
            ("web-[!12]", "web-2", false),
            ("web-[a-c]x", "web-bx", true),
            ("[", "[", true),
            ("[]]", "]", true),
            ("*-1", "a-1-1", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("WEB", "web", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
