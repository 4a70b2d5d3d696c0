//! What is wrong, as one error of the compiler.

use proc_macro::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};

use crate::tokens;

#[derive(Debug)]
pub(crate) struct Error {
    span: Span,
    /// What is wrong, behind the name of the attribute.
    text: String,
}

impl Error {
    /// An error at `token`, or at the attribute if there is none.
    pub(crate) fn at(token: Option<&TokenTree>, text: impl Into<String>) -> Self {
        Self { span: token.map_or_else(Span::call_site, TokenTree::span), text: text.into() }
    }

    /// `::core::compile_error! { "text" }` at the place, and what is there in the function's stead.
    pub(crate) fn expand(self, attribute: &str, stand_in: TokenStream) -> TokenStream {
        let text = format!("#[lisle::{attribute}] {}", self.text);
        let text = TokenTree::Literal(Literal::string(&text)).into();
        let mut error = tokens("::core::compile_error!");
        error.extend([TokenTree::Group(Group::new(Delimiter::Brace, text))]);
        let spanned = error.into_iter().map(|mut token| {
            token.set_span(self.span);
            token
        });
        spanned.chain(stand_in).collect()
    }
}
