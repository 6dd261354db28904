//! The web pages: big where the real ones are big, and with the few marks a client looks for. No page shows a token.

use std::sync::LazyLock;

/// The 404 page of open-source Label Studio 1.23.2 has this many bytes: a client must not read it whole, let alone as JSON.
const NOT_FOUND_SIZE: usize = 170_734;

static NOT_FOUND: LazyLock<String> = LazyLock::new(|| {
    let mut page = error_page(404, "Looks like this page doesn't exist.");
    let end = page.split_off(page.len() - "</body>\n</html>\n".len());
    let filler = "<!-- inline drawing of an opossum, which is most of this page -->\n";
    while page.len() + end.len() + filler.len() <= NOT_FOUND_SIZE {
        page.push_str(filler);
    }
    let missing = NOT_FOUND_SIZE - page.len() - end.len();
    page.push_str(&" ".repeat(missing));
    page + &end
});

pub(crate) fn not_found() -> String {
    NOT_FOUND.clone()
}

pub(crate) fn not_permitted() -> String {
    error_page(403, "Uh oh, this is not permitted.")
}

pub(crate) fn server_error() -> String {
    error_page(500, "Something went wrong.")
}

pub(crate) fn csrf_failed() -> String {
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <title>403 Forbidden</title>\n</head>\n<body>\n<div id=\"summary\">\n  \
     <h1>Forbidden <span>(403)</span></h1>\n  <p>CSRF verification failed. Request aborted.</p>\n</div>\n</body>\n</html>\n"
        .to_owned()
}

/// What a proxy answers when the server behind it fails.
pub(crate) fn gateway(status: u16) -> String {
    format!(
        "<html>\r\n<head><title>{status} Error</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
}

/// A login wall in front of the server.
pub(crate) fn login_wall() -> String {
    "<!doctype html>\n<html>\n<head><title>Sign in</title></head>\n<body><h1>Sign in to continue</h1></body>\n</html>\n"
        .to_owned()
}

pub(crate) struct FormPage<'a> {
    pub csrf: &'a str,
    pub email: &'a str,
    pub errors: &'a [(&'a str, &'a str)],
}

pub(crate) fn signup(form: &FormPage<'_>) -> String {
    page(&format!(
        "<form id=\"signup-form\" method=\"post\">\n{}\n<input name=\"allow_newsletters\" type=\"hidden\" value=\"true\">\n\
         <input name=\"how_find_us\">\n<input name=\"elaborate\">\n<button type=\"submit\">Create Account</button>\n</form>",
        fields(form)
    ))
}

/// The link to the sign-up page is there only while sign-up is open.
pub(crate) fn login(form: &FormPage<'_>, signup_open: bool, sub_path: &str) -> String {
    let link = if signup_open {
        format!("<p>Don't have an account? <a href=\"{sub_path}/user/signup/\">Sign up</a></p>")
    } else {
        String::new()
    };
    page(&format!(
        "<form id=\"login-form\" method=\"post\">\n{}\n<input name=\"persist_session\" type=\"checkbox\">\n\
         <button type=\"submit\">Log in</button>\n</form>\n{link}",
        fields(form)
    ))
}

fn fields(form: &FormPage<'_>) -> String {
    let errors_of = |field: &str| {
        let messages: Vec<&str> =
            form.errors.iter().filter(|(f, _)| *f == field).map(|(_, message)| *message).collect();
        if messages.is_empty() {
            return String::new();
        }
        format!("\n<ul class=\"field_errors\"><li>{}</li></ul>", messages.join("</li><li>"))
    };
    format!(
        "<input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"{}\">\n\
         <input type=\"text\" class=\"lsf-input-ls\" name=\"email\" id=\"email\" value=\"{}\">{}\n\
         <input type=\"password\" class=\"lsf-input-ls\" name=\"password\" id=\"password\">{}",
        form.csrf,
        escaped(form.email),
        errors_of("email"),
        errors_of("password")
    )
}

fn page(content: &str) -> String {
    format!(
        "\n\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  <title>Label Studio</title>\n</head>\n<body>\n{content}\n</body>\n</html>\n"
    )
}

fn error_page(status: u16, heading: &str) -> String {
    format!(
        "\n\n\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  <title>{status} | Label Studio</title>\n</head>\n<body>\n<div class=\"ls-global-error\">\n  <h1>{heading}</h1>\n</div>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
