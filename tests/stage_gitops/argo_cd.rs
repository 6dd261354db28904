//! The scripts of `examples/argo-cd/argocd-cm.yaml` in a real Lua 5.1, with the libraries that Argo CD opens for them and no others:
//! the basic ones, `table`, and of `os` the two harmless functions.

use label_studio_harness::checkout;
use mlua::serde::SerializeOptions;
use mlua::{Lua, LuaOptions, LuaSerdeExt as _, StdLib};
use serde_json::{Value, json};

pub struct Scripts(Value);

impl Scripts {
    pub fn read() -> Self {
        let text = std::fs::read_to_string(checkout().join("examples/argo-cd/argocd-cm.yaml")).unwrap();
        let map: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(map["metadata"]["name"], "argocd-cm");
        Self(map["data"].clone())
    }

    pub fn keys(&self) -> Vec<&str> {
        self.0.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn text(&self, about: &str, object: &Value) -> &str {
        let kind = object["kind"].as_str().unwrap();
        let key = format!("resource.customizations.{about}.labelstudio.rs_{kind}");
        self.0[&key].as_str().unwrap_or_else(|| panic!("{key} is missing"))
    }

    fn actions(&self, object: &Value) -> Value {
        serde_yaml::from_str(self.text("actions", object)).unwrap()
    }

    /// Status and message.
    pub fn health(&self, object: &Value) -> (String, String) {
        let health = run(self.text("health", object), object, &json!({})).unwrap();
        let word = |field: &str| health[field].as_str().unwrap_or_default().to_owned();
        (word("status"), word("message"))
    }

    /// The actions that are offered, and of these the ones that can be asked for now.
    pub fn offered(&self, object: &Value) -> (Vec<String>, Vec<String>) {
        let found = run(self.actions(object)["discovery.lua"].as_str().unwrap(), object, &json!({})).unwrap();
        let found = found.as_object().unwrap();
        let enabled = found.iter().filter(|(_, action)| action["disabled"] == false);
        (found.keys().cloned().collect(), enabled.map(|(name, _)| name.clone()).collect())
    }

    pub fn defined(&self, object: &Value) -> Vec<String> {
        let actions = self.actions(object);
        let names = actions["definitions"].as_array().unwrap().iter();
        names.map(|action| action["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What the action makes of the object, or what it says.
    pub fn act(&self, action: &str, object: &Value, parameters: &Value) -> Result<Value, String> {
        let actions = self.actions(object);
        let mut all = actions["definitions"].as_array().unwrap().iter();
        let script = all.find(|defined| defined["name"] == action).unwrap()["action.lua"].as_str().unwrap();
        run(script, object, parameters)
    }
}

fn run(script: &str, object: &Value, parameters: &Value) -> Result<Value, String> {
    let lua = Lua::new_with(StdLib::TABLE | StdLib::OS, LuaOptions::default()).unwrap();
    let globals = lua.globals();
    let os: mlua::Table = globals.get("os").unwrap();
    let harmless = lua.create_table().unwrap();
    for name in ["time", "date"] {
        harmless.set(name, os.get::<mlua::Function>(name).unwrap()).unwrap();
    }
    globals.set("os", harmless).unwrap();
    for absent in ["string", "io", "math", "debug"] {
        assert!(globals.get::<mlua::Value>(absent).unwrap().is_nil(), "{absent} is open");
    }
    // What is null is absent in Lua.
    let options = SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false);
    for (name, value) in [("obj", object), ("actionParams", parameters)] {
        globals.set(name, lua.to_value_with(value, options).unwrap()).unwrap();
    }
    let answer: mlua::Value = lua.load(script).eval().map_err(|error| error.to_string())?;
    assert!(answer.is_table(), "a script has to answer with a table: {answer:?}");
    Ok(lua.from_value(answer).unwrap())
}
