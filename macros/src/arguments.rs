//! The arguments of an attribute: `workers = 2, crate = green`.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

use crate::{Error, tokens};

/// The arguments that are there, beside `crate`. Each is a method of `RuntimeBuilder`.
const SETTINGS: [&str; 5] =
    ["workers", "stack_size", "main_stack_size", "foreign_threads", "virtual_time"];
/// Those that need no value to say yes.
const SWITCHES: [&str; 3] = ["virtual_time", EXPLORE, FAULTS];
/// Not a setting of a runtime: says that a test is explored, and how.
const EXPLORE: &str = "explore";
/// That faults strike a test that is explored: all, or those that are given.
const FAULTS: &str = "faults";

pub(crate) struct Arguments {
    /// The path of the crate `lisle`.
    pub(crate) path: TokenStream,
    /// Calls of methods of a `RuntimeBuilder`.
    pub(crate) settings: TokenStream,
    /// The `Explorer` of a test that is explored.
    pub(crate) explorer: Option<TokenStream>,
}

impl Arguments {
    pub(crate) fn parse(arguments: TokenStream) -> Result<Self, Error> {
        let arguments: Vec<TokenTree> = arguments.into_iter().collect();
        let mut path = None;
        let mut given: Vec<(String, Vec<TokenTree>)> = Vec::new();
        for argument in arguments.split(|token| is_punct(token, ',')) {
            let Some(name) = argument.first() else {
                // A comma at the end is as good as none.
                continue;
            };
            let text = name.to_string();
            let is_known =
                ["crate", EXPLORE, FAULTS].contains(&&*text) || SETTINGS.contains(&&*text);
            if !is_known {
                let text = format!(
                    "has no argument `{text}`: there are `workers`, `stack_size`, \
                     `main_stack_size`, `foreign_threads`, `virtual_time`, `explore`, `faults` and \
                     `crate`"
                );
                return Err(Error::at(Some(name), text));
            }
            let value = match argument.get(1..) {
                Some([equals, value @ ..]) if is_punct(equals, '=') && !value.is_empty() => {
                    value.to_vec()
                }
                Some([]) if SWITCHES.contains(&text.as_str()) => {
                    tokens("true").into_iter().collect()
                }
                _ => return Err(Error::at(Some(name), format!("needs `{text} = …`"))),
            };
            let is_second = given.iter().any(|(given, _)| *given == text);
            if is_second || (text == "crate" && path.is_some()) {
                return Err(Error::at(Some(name), format!("has `{text}` twice")));
            }
            if text == "crate" {
                path = Some(path_of(&value)?);
            } else {
                given.push((text, value));
            }
        }
        let path = path.unwrap_or_else(|| tokens("::lisle"));
        let mut take = |wanted: &str| {
            let place = given.iter().position(|(name, _)| name == wanted)?;
            Some(given.remove(place).1)
        };
        let (explorer, faults) = (take(EXPLORE), take(FAULTS));
        if explorer.is_some() && !given.is_empty() {
            let text = "explores on one worker, with virtual time: its one other argument is \
                        `faults`";
            return Err(Error::at(arguments.first(), text));
        }
        if explorer.is_none() && faults.is_some() {
            let text = "has faults only where it explores: write `explore, faults`";
            return Err(Error::at(arguments.first(), text));
        }
        let mut explorer = explorer.map(|value| explorer_of(&path, value));
        if let (Some(explorer), Some(faults)) = (&mut explorer, faults) {
            explorer.extend(faults_of(&path, faults));
        }
        let settings = given.into_iter().flat_map(|(name, value)| setting(&path, &name, value));
        Ok(Self { settings: settings.collect(), explorer, path })
    }
}

/// What stands behind `explore =`, or an explorer as it comes.
fn explorer_of(path: &TokenStream, value: Vec<TokenTree>) -> TokenStream {
    if let [TokenTree::Ident(word)] = &value[..]
        && word.to_string() == "true"
    {
        let mut explorer = path.clone();
        explorer.extend(tokens("::explore::Explorer::new()"));
        return explorer;
    }
    value.into_iter().collect()
}

/// What stands behind `faults =`, or all of them, as a call that asks an explorer for them.
fn faults_of(path: &TokenStream, value: Vec<TokenTree>) -> TokenStream {
    let mut faults = TokenStream::new();
    if let [TokenTree::Ident(word)] = &value[..]
        && word.to_string() == "true"
    {
        faults.extend(path.clone());
        faults.extend(tokens("::explore::Fault::ALL"));
    } else {
        faults.extend(value);
    }
    let mut call = tokens(".faults");
    call.extend([TokenTree::Group(Group::new(Delimiter::Parenthesis, faults))]);
    call
}

/// `.name(value)`. The name alone of a variant of `ForeignThreads` will do.
fn setting(path: &TokenStream, name: &str, value: Vec<TokenTree>) -> TokenStream {
    let mut full = TokenStream::new();
    if let ("foreign_threads", [TokenTree::Ident(_)]) = (name, &value[..]) {
        full.extend(path.clone());
        full.extend(tokens("::deadlock::ForeignThreads::"));
    }
    full.extend(value);
    let mut setting = tokens(&format!(".{name}"));
    setting.extend([TokenTree::Group(Group::new(Delimiter::Parenthesis, full))]);
    setting
}

/// A path, or a string that is one.
fn path_of(value: &[TokenTree]) -> Result<TokenStream, Error> {
    if let [literal @ TokenTree::Literal(_)] = value {
        let text = literal.to_string();
        let path = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        return path
            .filter(|path| !path.is_empty())
            .and_then(|path| path.parse().ok())
            .ok_or_else(|| Error::at(Some(literal), "needs a path, as in `crate = green`"));
    }
    Ok(value.iter().cloned().collect())
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
