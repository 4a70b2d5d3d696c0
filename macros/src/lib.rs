//! The attributes `#[lisle::main]` and `#[lisle::test]`. They wrap the body of a function into
//! `lisle::run` and need no more of Rust's grammar than where a function's attributes end and where
//! its body begins, so they work on tokens alone.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Makes `main` the first task of a runtime with the default settings: its body runs inside
/// `lisle::run`.
///
/// ```
/// #[lisle::main]
/// fn main() {
///     let answer = lisle::spawn(|| 42).join().unwrap();
///     assert_eq!(answer, 42);
/// }
/// ```
///
/// The result may be whatever a `main` may return:
///
/// ```
/// #[lisle::main]
/// fn main() -> Result<(), std::num::ParseIntError> {
///     let number: i32 = "42".parse()?;
///     assert_eq!(number, 42);
///     Ok(())
/// }
/// ```
///
/// A function with parameters cannot be a first task:
///
/// ```compile_fail
/// #[lisle::main]
/// fn main(argument: i32) {}
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand("main", arguments, function, None)
}

/// Makes a function a test whose body runs inside `lisle::run`.
///
/// Other attributes of tests, such as `#[should_panic]` and `#[ignore]`, stay as they are. The harness
/// runs tests on threads of its own, so a deadlock is not reported; see `lisle::ForeignThreads`.
///
/// ```
/// #[lisle::test]
/// fn tasks_can_be_joined() {
///     assert_eq!(lisle::spawn(|| 42).join().unwrap(), 42);
/// }
/// ```
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let core_test = "#[::core::prelude::v1::test]".parse().expect("this is an attribute");
    expand("test", arguments, function, Some(core_test))
}

/// Turns `ATTRIBUTES fn name() -> R BODY` into
/// `EXTRA ATTRIBUTES fn name() -> R { fn name() -> R BODY ::lisle::run(name) }`.
///
/// The inner function keeps `return` and `?` as they are.
fn expand(
    attribute: &str,
    arguments: TokenStream,
    function: TokenStream,
    extra: Option<TokenStream>,
) -> TokenStream {
    if let Some(argument) = arguments.into_iter().next() {
        return error(argument.span(), &format!("#[lisle::{attribute}] takes no arguments"));
    }
    let mut tokens: Vec<TokenTree> = function.into_iter().collect();
    let Some(TokenTree::Group(body)) = tokens.pop_if(|last| is_group(last, Delimiter::Brace))
    else {
        let text = format!("#[lisle::{attribute}] belongs to a function with a body");
        return error(Span::call_site(), &text);
    };
    let (attributes, signature) = tokens.split_at(end_of_attributes(&tokens));
    let name = match name_of(signature) {
        Ok(name) => name,
        Err((span, text)) => return error(span, &format!("#[lisle::{attribute}] {text}")),
    };
    let visibility_ends = signature.iter().position(is_fn).expect("it has a name");

    let mut wrapped: TokenStream = signature[visibility_ends..].iter().cloned().collect();
    wrapped.extend([TokenTree::Group(body)]);
    let run: TokenStream = "::lisle::run".parse().expect("this is a path");
    wrapped.extend(run);
    let argument = Group::new(Delimiter::Parenthesis, TokenTree::Ident(name).into());
    wrapped.extend([TokenTree::Group(argument)]);

    let mut expanded = extra.unwrap_or_default();
    expanded.extend(attributes.iter().chain(signature).cloned());
    expanded.extend([TokenTree::Group(Group::new(Delimiter::Brace, wrapped))]);
    expanded
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn is_fn(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == "fn")
}

/// Attributes are pairs of `#` and a bracketed group.
fn end_of_attributes(tokens: &[TokenTree]) -> usize {
    let is_attribute = |pair: &[TokenTree]| {
        matches!(&pair[0], TokenTree::Punct(punct) if punct.as_char() == '#')
            && is_group(&pair[1], Delimiter::Bracket)
    };
    2 * tokens.chunks_exact(2).take_while(|pair| is_attribute(pair)).count()
}

/// The name of a function without qualifiers and parameters, or what is wrong with it.
fn name_of(signature: &[TokenTree]) -> Result<Ident, (Span, &'static str)> {
    let wrong = |token: Option<&TokenTree>, text| {
        Err((token.map_or(Span::call_site(), TokenTree::span), text))
    };
    let Some(keyword) = signature.iter().position(is_fn) else {
        return wrong(signature.first(), "belongs to a function");
    };
    let qualifier = signature[..keyword].iter().find(|token| {
        let text = token.to_string();
        ["async", "const", "unsafe", "extern"].contains(&text.as_str())
    });
    if qualifier.is_some() {
        return wrong(qualifier, "belongs to a plain function: tasks need no qualifiers");
    }
    let Some(TokenTree::Ident(name)) = signature.get(keyword + 1) else {
        return wrong(signature.get(keyword), "belongs to a function with a name");
    };
    match signature.get(keyword + 2) {
        Some(TokenTree::Group(parameters)) if parameters.stream().is_empty() => Ok(name.clone()),
        other => wrong(other, "belongs to a function without parameters"),
    }
}

/// `::core::compile_error!("text");` at `span`.
fn error(span: Span, text: &str) -> TokenStream {
    let path: TokenStream = "::core::compile_error".parse().expect("this is a path");
    let tokens = path.into_iter().chain([
        TokenTree::Punct(Punct::new('!', Spacing::Alone)),
        TokenTree::Group(Group::new(
            Delimiter::Brace,
            TokenTree::Literal(Literal::string(text)).into(),
        )),
    ]);
    tokens
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}
