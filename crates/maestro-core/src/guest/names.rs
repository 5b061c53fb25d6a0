//! Names of variables.

/// The name of the environment. In every container.
pub const ENVIRONMENT_NAME: &str = "MAESTRO_ENVIRONMENT_NAME";
/// The container's service. In every container, unless the file says otherwise.
pub const SERVICE_NAME: &str = "SERVICE_NAME";
/// The container's own name, which is that of its instance. In every container.
pub const CONTAINER_NAME: &str = "CONTAINER_NAME";
/// The address of the container's ship, as others reach it. In every container.
pub const HOST_ADDRESS: &str = "CONTAINER_HOST_ADDRESS";
/// The image, as the file names it. In every container.
pub const IMAGE: &str = "DOCKER_IMAGE";
/// The image's tag, or its digest without the algorithm. In every container.
pub const TAG: &str = "DOCKER_TAG";

/// A name as a part of a variable's name: what is not a letter, digit or underscore becomes `_`, and all becomes upper
/// case. Letters and digits are Unicode's, as in Python.
#[must_use]
pub fn sanitise(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' })
        .flat_map(char::to_uppercase)
        .collect()
}

/// The variable with the names of a service's instances, sorted, with commas between them.
#[must_use]
pub fn instances(service: &str) -> String {
    format!("{}_INSTANCES", sanitise(service))
}

/// The variable with the address of the ship that an instance of a service is on.
#[must_use]
pub fn host(service: &str, instance: &str) -> String {
    format!("{}_{}_HOST", sanitise(service), sanitise(instance))
}

/// The variable with the external number of an instance's port, or a range of them.
#[must_use]
pub fn port(service: &str, instance: &str, port: &str) -> String {
    format!("{}_{}_{}_PORT", sanitise(service), sanitise(instance), sanitise(port))
}

/// The variable with the number of an instance's port within its container, or a range of them. Only containers of the
/// same service have it.
#[must_use]
pub fn internal_port(service: &str, instance: &str, port: &str) -> String {
    format!("{}_{}_{}_INTERNAL_PORT", sanitise(service), sanitise(instance), sanitise(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_variables() {
        for (name, part) in
            [("web.front-1", "WEB_FRONT_1"), ("é-b", "É_B"), ("a_b", "A_B"), ("ß", "SS"), ("", "")]
        {
            assert_eq!(sanitise(name), part);
        }
        assert_eq!(internal_port("front.web", "web_a", "http"), "FRONT_WEB_WEB_A_HTTP_INTERNAL_PORT");
        assert_eq!(port("front.web", "web_a", "http"), "FRONT_WEB_WEB_A_HTTP_PORT");
        assert_eq!(host("front.web", "web_a"), "FRONT_WEB_WEB_A_HOST");
        assert_eq!(instances("front.web"), "FRONT_WEB_INSTANCES");
    }
}
