//! How a room is to be: the form that its owner fills in (XEP-0045 §10.1, §10.2).

use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};

/// What the owner of a room has chosen.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) whois: Whois,
    pub(super) password: Option<String>,
    pub(super) questions: Questions,
}

/// Who learns whose JIDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Whois {
    Anyone,
    #[default]
    Moderators,
}

/// Whether occupants may ask each other something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Questions {
    #[default]
    Allowed,
    Refused,
}

impl Rules {
    /// The form, as it is filled in now.
    pub(super) fn form(&self) -> DataForm {
        let protected = self.password.is_some();
        let password = self.password.as_deref().unwrap_or_default();
        let whois = match self.whois {
            Whois::Anyone => ANYONE,
            Whois::Moderators => MODERATORS,
        };
        let fields = vec![
            Field::new(WHOIS, FieldType::TextSingle).with_value(whois),
            flag(PROTECTED, protected),
            Field::new(PASSWORD, FieldType::TextPrivate).with_value(password),
            flag(QUESTIONS, self.questions == Questions::Allowed),
        ];
        DataForm::new(DataFormType::Form, FORM, fields)
    }

    /// Takes what the owner says; what he does not mention stays.
    pub(super) fn take(&mut self, form: &DataForm) {
        let value = |name| value(form, name);
        match value(WHOIS) {
            Some(ANYONE) => self.whois = Whois::Anyone,
            Some(MODERATORS) => self.whois = Whois::Moderators,
            _ => {}
        }
        if let Some(password) = value(PASSWORD) {
            self.password = Some(password.to_owned()).filter(|word| !word.is_empty());
        }
        if value(PROTECTED).is_some_and(is_no) {
            self.password = None;
        }
        if let Some(allowed) = value(QUESTIONS).or_else(|| value(QUESTIONS_TOO)) {
            self.questions = match is_no(allowed) {
                true => Questions::Refused,
                false => Questions::Allowed,
            };
        }
    }
}

fn value<'a>(form: &'a DataForm, name: &str) -> Option<&'a str> {
    let mut fields = form.fields.iter();
    let field = fields.find(|field| field.var.as_deref() == Some(name))?;
    field.values.first().map(String::as_str)
}

fn flag(name: &str, set: bool) -> Field {
    Field::new(name, FieldType::Boolean).with_value(if set { "1" } else { "0" })
}

/// The two ways of XEP-0004 §3.3.
fn is_no(value: &str) -> bool {
    matches!(value, "0" | "false")
}

const FORM: &str = "http://jabber.org/protocol/muc#roomconfig";

const WHOIS: &str = "muc#roomconfig_whois";
const ANYONE: &str = "anyone";
const MODERATORS: &str = "moderators";

const PROTECTED: &str = "muc#roomconfig_passwordprotectedroom";

const PASSWORD: &str = "muc#roomconfig_roomsecret";

/// As ejabberd calls it.
const QUESTIONS: &str = "allow_query_users";

/// As it would be called if it were registered.
const QUESTIONS_TOO: &str = "muc#roomconfig_allow_query_users";
