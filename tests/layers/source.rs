//! The files below `src/`, and their text without comments, literals and unit tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path below the crate, as `["proxy", "listener"]`.
pub type ModulePath = Vec<String>;

/// A source file that is part of the program.
#[derive(Debug)]
pub struct SourceFile {
    /// Below `src/`, with `/`.
    pub path: String,
    pub module: ModulePath,
    /// The whole text.
    pub text: String,
    /// The text without comments, without the content of literals, and without unit tests.
    pub code: String,
}

/// All files of the program. Files that hold unit tests only are not among them.
pub fn program_files() -> BTreeMap<ModulePath, SourceFile> {
    let mut files = BTreeMap::new();
    for (path, text) in all_files() {
        let module = module_of(&path);
        let code = code_of(&text);
        files.insert(module.clone(), SourceFile { path, module, text, code });
    }
    let tests: Vec<ModulePath> = files.values().flat_map(test_modules).collect();
    files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    files
}

/// The path below `src/` and the text of every file, unit tests too.
pub fn all_files() -> Vec<(String, String)> {
    let root = source_root();
    let mut paths = Vec::new();
    find(&root, &mut paths);
    paths.sort();
    let below = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
    paths.iter().map(|path| (below(path), fs::read_to_string(path).unwrap())).collect()
}

pub fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn find(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn module_of(path: &str) -> ModulePath {
    let mut module: ModulePath = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// The modules that a file declares for unit tests, in files of their own.
fn test_modules(file: &SourceFile) -> Vec<ModulePath> {
    let declared = file.text.split("#[cfg(test)]\nmod ").skip(1);
    let names = declared.filter_map(|rest| rest.lines().next()?.strip_suffix(';'));
    names.map(|name| [file.module.as_slice(), &[name.to_owned()]].concat()).collect()
}

/// Removes comments, the content of literals, and `mod tests { … }` with what follows it.
fn code_of(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let mut code = String::with_capacity(program.len());
    let mut rest = program;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => literal_length(rest, '"'),
            'r' if is_raw_string(rest) && !code.ends_with(is_word) => raw_literal_length(rest),
            '\'' if is_character(rest) => literal_length(rest, '\''),
            _ => 0,
        };
        if skipped == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            rest = &rest[skipped..];
        }
    }
    code
}

/// True if the character can be part of a name.
pub fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn literal_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_raw_string(text: &str) -> bool {
    text[1..].trim_start_matches('#').starts_with('"')
}

fn raw_literal_length(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|character| *character == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = 2 + hashes;
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// True at a character literal, false at a lifetime.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars().skip(1);
    match (characters.next(), characters.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(second)) => second == '\'',
        _ => false,
    }
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = "use crate::a; // crate::b\nlet x = \"crate::c\\\"\"; let r = r#\"crate::d\"#; let c = '\"'; fn f<'a>() {}\n\
                #[cfg(test)]\nmod tests {\n use crate::e;";
    assert_eq!(code_of(text), "use crate::a; \nlet x = ; let r = ; let c = ; fn f<'a>() {}\n");
}
