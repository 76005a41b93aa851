//! Reads the workspace's Rust files and finds every path that they use, also inside macros and grouped `use`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::fs;
use std::path::{Path, PathBuf};

/// A path in code (`tokio::time::sleep`), a macro call (`println!`) or a method call (`.spawn`), with its line.
pub struct Used {
    pub path: Vec<String>,
    pub line: usize,
}

/// One file of the workspace, relative to its root, without what stands under `#[cfg(test)]`.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    pub used: Vec<Used>,
    pub syntax: syn::File,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut files = Vec::new();
    for folder in folders {
        rust_files(&root().join(folder), &mut files);
    }
    files.into_iter().map(|file| read(&file)).collect()
}

fn read(file: &Path) -> Source {
    let text = fs::read_to_string(file).expect("a text");
    let tokens: TokenStream = text.parse().expect("Rust");
    let used = paths(tokens);
    let syntax = syn::parse_file(&text).expect("Rust");
    Source { path: file.strip_prefix(root()).expect("below the root").to_owned(), text, used, syntax }
}

/// Every path in the code, also inside macros; `use a::{b::c, d}` gives `a::b::c` and `a::d`.
pub fn paths(tokens: TokenStream) -> Vec<Used> {
    let mut used = Vec::new();
    collect(tokens, &[], &mut used);
    used
}

fn punct(trees: &[TokenTree], i: usize, c: char) -> bool {
    matches!(trees.get(i), Some(TokenTree::Punct(p)) if p.as_char() == c)
}

fn collect(tokens: TokenStream, prefix: &[String], used: &mut Vec<Used>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < trees.len() {
        i = match &trees[i] {
            TokenTree::Punct(p) if p.as_char() == '#' && is_cfg_test(trees.get(i + 1)) => {
                after_item(&trees, i + 2)
            }
            TokenTree::Ident(_) => take_path(&trees, i, prefix, used),
            TokenTree::Group(group) => {
                collect(group.stream(), &[], used);
                i + 1
            }
            _ => i + 1,
        }
    }
}

/// Reads the path whose first name is at `i`; returns the index after it.
fn take_path(trees: &[TokenTree], mut i: usize, prefix: &[String], used: &mut Vec<Used>) -> usize {
    let line = trees[i].span().start().line;
    let mut path = prefix.to_vec();
    path.push(trees[i].to_string());
    i += 1;
    while punct(trees, i, ':') && punct(trees, i + 1, ':') {
        match trees.get(i + 2) {
            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
            Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace => {
                collect(g.stream(), &path, used);
            }
            _ => {}
        }
        i += 3;
    }
    if punct(trees, i, '!') && !punct(trees, i + 1, '=') {
        path.last_mut().expect("not empty").push('!');
    }
    used.push(Used { path, line });
    i
}

fn is_cfg_test(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Group(g)) if g.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Index after the item that begins at `from`: after its body or its semicolon.
fn after_item(trees: &[TokenTree], from: usize) -> usize {
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Group(g) => g.delimiter() == Delimiter::Brace,
        TokenTree::Punct(p) => p.as_char() == ';',
        _ => false,
    };
    trees[from..].iter().position(ends).map_or(trees.len(), |at| from + at + 1)
}
