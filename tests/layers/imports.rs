//! Which file uses a name of which other file.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{ModulePath, SourceFile, is_word};

type Files = BTreeMap<ModulePath, SourceFile>;

/// A name that a `use` declaration brings into a file.
#[derive(Debug)]
struct Import {
    name: String,
    /// The whole path, from the crate.
    path: ModulePath,
    /// Other files may use it, too: `pub use`, also with a restriction.
    is_public: bool,
}

/// The imports of each file, and the files that each file uses.
#[derive(Debug)]
pub struct Imports<'a> {
    files: &'a Files,
    by_file: BTreeMap<&'a ModulePath, Vec<Import>>,
}

impl<'a> Imports<'a> {
    pub fn of(files: &'a Files) -> Imports<'a> {
        let by_file = files.iter().map(|(module, file)| (module, imports_of(files, file))).collect();
        Imports { files, by_file }
    }

    /// The modules whose names this file uses, each with one of the names. A name that is only
    /// exported again is not used.
    pub fn used_by(&self, module: &ModulePath) -> BTreeMap<&'a ModulePath, ModulePath> {
        let code = without_imports(&self.files[module].code);
        let words: BTreeSet<&str> = code.split(|character| !is_word(character)).collect();
        let imported = &self.by_file[module];
        let needed = imported.iter().filter(|import| !import.is_public || words.contains(&*import.name));
        let written = inline_paths(self.files, module, &code);
        let paths = needed.map(|import| import.path.clone()).chain(written);
        let mut used = BTreeMap::new();
        for path in paths {
            if let Some(target) = self.definer(&path, 0).filter(|target| *target != module) {
                used.entry(target).or_insert(path);
            }
        }
        used
    }

    /// The module in which the last name of the path is defined. Exports of other modules' names are followed.
    fn definer(&self, path: &[String], depth: usize) -> Option<&'a ModulePath> {
        let (module, rest) = self.deepest_module(path)?;
        let Some(name) = rest.first() else {
            return Some(module);
        };
        let export = self.by_file[module].iter().find(|import| import.name == *name && import.path != path);
        match export {
            // Two modules that export each other's names would go round for ever.
            Some(export) if depth < 8 => {
                let target = [export.path.as_slice(), &rest[1..]].concat();
                self.definer(&target, depth + 1)
            }
            _ => Some(module),
        }
    }

    fn deepest_module<'p>(&self, path: &'p [String]) -> Option<(&'a ModulePath, &'p [String])> {
        (0..=path.len()).rev().find_map(|length| {
            let (module, _) = self.files.get_key_value(&path[..length])?;
            Some((module, &path[length..]))
        })
    }
}

/// The names that the file's `use` declarations bring in from this crate.
fn imports_of(files: &Files, file: &SourceFile) -> Vec<Import> {
    let mut imports = Vec::new();
    for (is_public, tree) in use_declarations(&file.code) {
        for (path, name) in leaves(&tree) {
            if let Some(path) = absolute(files, &file.module, &path) {
                imports.push(Import { name, path, is_public });
            }
        }
    }
    imports
}

/// Every `use` declaration: whether it is public, and its tree.
fn use_declarations(code: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = &code[..at];
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
        let is_declaration = line.is_empty() || (line.starts_with("pub") && line.ends_with(' '));
        if let Some((tree, _)) = code[at + 4..].split_once(';').filter(|_| is_declaration) {
            found.push((line.starts_with("pub"), tree.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

/// The paths of a `use` tree, each with the name that it brings in.
fn leaves(tree: &str) -> Vec<(ModulePath, String)> {
    let tree = tree.trim();
    if let Some((prefix, group)) = tree.split_once('{') {
        let group = group.trim_end().trim_end_matches('}');
        return split_group(group)
            .iter()
            .flat_map(|part| leaves(&format!("{prefix}{}", part.trim())))
            .collect();
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let mut path: ModulePath = path.split("::").map(|part| part.trim().to_owned()).collect();
    if path.last().is_some_and(|last| last == "self" || last == "*") && path.len() > 1 {
        path.pop();
    }
    let name = alias.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
    if tree.is_empty() || tree.ends_with("::") { Vec::new() } else { vec![(path, name)] }
}

/// The parts of a group, separated by the commas outside its inner groups.
fn split_group(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

/// The path from the crate. `None` for a path that leads to another crate.
fn absolute(files: &Files, module: &ModulePath, path: &[String]) -> Option<ModulePath> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => Some([&module[..module.len().checked_sub(supers)?], &path[supers..]].concat()),
        child => {
            let child = [module.as_slice(), &[child.to_owned()]].concat();
            files.contains_key(&child).then(|| [module, path].concat())
        }
    }
}

/// Paths that are written out in the code, outside `use` declarations.
fn inline_paths(files: &Files, module: &ModulePath, code: &str) -> Vec<ModulePath> {
    let mut paths = Vec::new();
    for token in code.split(|character: char| !is_word(character) && character != ':') {
        let path: ModulePath = token.split("::").map(str::to_owned).collect();
        let is_path = path.len() > 1 && path.iter().all(|part| !part.is_empty() && !part.contains(':'));
        if is_path {
            paths.extend(absolute(files, module, &path));
        }
    }
    paths
}

/// The code without its `use` declarations, which are formatted: each begins on a line of its own.
fn without_imports(code: &str) -> String {
    let mut in_declaration = false;
    let mut kept = String::with_capacity(code.len());
    for line in code.lines() {
        let start = line.trim_start();
        in_declaration |= start.starts_with("use ") || (start.starts_with("pub") && start.contains(" use "));
        if !in_declaration {
            kept.push_str(line);
            kept.push('\n');
        }
        in_declaration &= !line.contains(';');
    }
    kept
}
