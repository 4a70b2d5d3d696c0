//! The function that an attribute belongs to, as far as it is understood.

use proc_macro::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};

use crate::arguments::Arguments;
use crate::{Error, tokens};

pub(crate) struct Function {
    attributes: Vec<TokenTree>,
    /// From the visibility to the result.
    signature: Vec<TokenTree>,
    /// Where `fn` is in the signature.
    keyword: usize,
    name: Ident,
    body: Group,
}

impl Function {
    pub(crate) fn parse(item: TokenStream) -> Result<Self, Error> {
        let mut attributes: Vec<TokenTree> = item.into_iter().collect();
        let mut signature = attributes.split_off(end_of_attributes(&attributes));
        let Some(TokenTree::Group(body)) =
            signature.pop_if(|last| is_group(last, Delimiter::Brace))
        else {
            return Err(Error::at(signature.first(), "belongs to a function with a body"));
        };
        let (keyword, name) = find_name(&signature)?;
        Ok(Self { attributes, signature, keyword, name, body })
    }

    pub(crate) fn wrap(self, attribute: &str, arguments: &Arguments) -> TokenStream {
        if attribute == "test"
            && let Some(test) = self.attributes.iter().find(|token| is_test(token))
        {
            let error = Error::at(Some(test), "is all that a test needs: remove #[test]");
            return error.expand(attribute, TokenStream::new());
        }
        let Arguments { path, settings, explorer } = arguments;
        if attribute == "main" && explorer.is_some() {
            let error = Error::at(None, "explores nothing: that is for tests");
            return error.expand(attribute, tokens(&format!("fn {}() {{}}", self.name)));
        }
        let call = |function: &str, arguments: TokenStream| {
            let mut call = path.clone();
            call.extend(tokens(&format!("::internal::{function}")));
            call.extend([TokenTree::Group(Group::new(Delimiter::Parenthesis, arguments))]);
            call
        };
        let mut run = match attribute {
            "test" => {
                let name = Literal::string(&self.name.to_string());
                call("for_test", TokenTree::Literal(name).into())
            }
            _ => call("for_main", TokenStream::new()),
        };
        run.extend(settings.clone());
        let entry = if let Some(explorer) = explorer {
            run = explorer.clone();
            "explore"
        } else {
            "run"
        };
        run.extend(tokens(","));
        run.extend([TokenTree::Ident(self.name)]);

        let mut wrapped: TokenStream = self.signature[self.keyword..].iter().cloned().collect();
        wrapped.extend([TokenTree::Group(self.body)]);
        wrapped.extend(call(entry, run));

        let mut expanded = match attribute {
            "test" => tokens("#[::core::prelude::v1::test]"),
            _ => TokenStream::new(),
        };
        expanded.extend(self.attributes.into_iter().chain(self.signature));
        expanded.extend([TokenTree::Group(Group::new(Delimiter::Brace, wrapped))]);
        expanded
    }
}

/// What stands in for an item that cannot be understood, so that uses of it do not fail too.
pub(crate) fn stand_in(item: TokenStream) -> TokenStream {
    let mut rest = item.clone().into_iter().skip_while(|token| !is_fn(token)).skip(1);
    match rest.next() {
        // As it is, it may be no `main` either.
        Some(TokenTree::Ident(name)) if name.to_string() == "main" => tokens("fn main() {}"),
        _ => item,
    }
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn is_fn(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == "fn")
}

/// Whether it is the group of `#[test]`.
fn is_test(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.stream().to_string() == "test")
}

/// Attributes are pairs of `#` and a bracketed group.
fn end_of_attributes(tokens: &[TokenTree]) -> usize {
    let is_attribute = |pair: &[TokenTree]| {
        matches!(&pair[0], TokenTree::Punct(punct) if punct.as_char() == '#')
            && is_group(&pair[1], Delimiter::Bracket)
    };
    2 * tokens.chunks_exact(2).take_while(|pair| is_attribute(pair)).count()
}

/// Where `fn` is, and the name of a function that can be a first task.
fn find_name(signature: &[TokenTree]) -> Result<(usize, Ident), Error> {
    let Some(keyword) = signature.iter().position(is_fn) else {
        return Err(Error::at(signature.first(), "belongs to a function"));
    };
    for token in &signature[..keyword] {
        match token.to_string().as_str() {
            "async" => {
                let text = "belongs to a plain function, which may wait as it is: remove `async`";
                return Err(Error::at(Some(token), text));
            }
            word @ ("const" | "unsafe" | "extern") => {
                let text = format!("belongs to a plain function: remove `{word}`");
                return Err(Error::at(Some(token), text));
            }
            _ => {}
        }
    }
    let Some(TokenTree::Ident(name)) = signature.get(keyword + 1) else {
        return Err(Error::at(signature.get(keyword), "belongs to a function with a name"));
    };
    match signature.get(keyword + 2) {
        Some(TokenTree::Group(parameters)) if parameters.stream().is_empty() => {
            Ok((keyword, name.clone()))
        }
        Some(other @ TokenTree::Punct(_)) => {
            Err(Error::at(Some(other), "belongs to a function without type parameters"))
        }
        other => Err(Error::at(other, "belongs to a function without parameters")),
    }
}
