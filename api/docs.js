"use strict";

// Draws /openapi.json: one section per operation, then every body. Text only ever becomes text.
const element = (name, attributes, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
// `code` in a sentence.
const prose = (text) =>
  (text || "").split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
const lines = (text) => (text || "").split("\n").map((line) => element("p", {}, ...prose(line)));
const pretty = (value) => element("pre", {}, JSON.stringify(value, null, 2));
const nameOf = (reference) => reference.split("/").pop();

const kind = (schema) => {
  if (schema.$ref) return [element("a", { href: `#${nameOf(schema.$ref)}` }, nameOf(schema.$ref))];
  if (schema.allOf) return kind(schema.allOf[0]);
  const either = schema.anyOf || schema.oneOf;
  if (either) return either.flatMap((one, index) => [index ? " or " : "", ...kind(one)]);
  if (schema.type === "array") return ["list of ", ...kind(schema.items || {})];
  if (schema.additionalProperties) return ["map to ", ...kind(schema.additionalProperties)];
  return [schema.type || (schema.enum ? "string" : "anything")];
};

const bounds = [
  ["minimum", "≥"], ["maximum", "≤"], ["minLength", "characters ≥"], ["maxLength", "characters ≤"],
  ["minItems", "items ≥"], ["maxItems", "items ≤"], ["format", "format"], ["pattern", "matches"],
];
const shown = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f]/g,
  (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"));
const rules = (schema) => {
  const choices = schema.enum || (schema.anyOf || []).flatMap((one) => one.enum || []);
  const found = bounds.filter(([key]) => key in schema).map(([key, sign]) => `${sign} ${shown(schema[key])}`);
  if (choices.length) found.push(`one of ${choices.join(", ")}`);
  if ("const" in schema) found.push(`always ${JSON.stringify(schema.const)}`);
  if (schema.not && "const" in schema.not) found.push(`not ${schema.not.const}`);
  if (schema.default !== undefined && schema.default !== null) found.push(`default ${JSON.stringify(schema.default)}`);
  return found;
};

const row = (name, schema, description, required, example) => {
  const about = [...prose(description)];
  if (example !== undefined) about.push(element("div", { class: "soft" }, "e.g. ", element("code", {}, JSON.stringify(example))));
  const type = element("td", {}, ...kind(schema));
  for (const rule of rules(schema)) type.append(element("div", { class: "soft" }, element("code", {}, rule)));
  return element("tr", {}, element("td", {}, element("code", required ? { class: "must" } : {}, name)), type, element("td", {}, ...about));
};
const table = (rows) => element("table", {},
  element("thead", {}, element("tr", {}, ...["Name", "Type", "Meaning"].map((name) => element("th", {}, name)))),
  element("tbody", {}, ...rows));
const fields = (schema) => table(Object.entries(schema.properties || {}).map(([name, field]) =>
  row(name, field, field.description, (schema.required || []).includes(name), (field.examples || [])[0])));

const answer = (status, response) => {
  const content = (response.content || {})["application/json"];
  const [first] = response.description.split("\n");
  const made = element("details", {}, element("summary", {}, element("b", {}, status), " ",
    ...prose(response.description.includes("\n") ? Object.keys(content.examples).map((code) => `\`${code}\``).join(" ") : first)));
  if (response.description.includes("\n")) made.append(...lines(response.description));
  if (content) {
    made.append(element("p", {}, "Body: ", ...kind(content.schema)));
    for (const [name, example] of Object.entries(content.examples || {}))
      made.append(element("p", { class: "soft" }, name === "example" ? "Example" : name), pretty(example.value));
  }
  made.append(element("p", { class: "soft" }, "Headers"), table(Object.entries(response.headers || {}).map(([name, header]) =>
    row(name, header.schema, header.description, header.required))));
  return made;
};

const operation = (api, path, method, one) => {
  const made = element("section", { id: one.operationId },
    element("h2", {}, element("span", { class: `method ${method}` }, method.toUpperCase()), " ", element("code", {}, path)),
    element("p", {}, ...prose(`${one.summary} ${one.description || ""}`)));
  const identity = (one.security || []).flatMap((scheme) => Object.keys(scheme)).map((name) => api.components.securitySchemes[name]);
  const parameters = [
    ...identity.map((scheme) => row(scheme.name, { type: "string" }, `Header. ${scheme.description}`, true)),
    ...one.parameters.map((given) =>
      row(given.name, given.schema, `${given.in[0].toUpperCase()}${given.in.slice(1)}. ${given.description}`, given.required, given.example)),
  ];
  made.append(element("h3", {}, "Parameters"), table(parameters));
  if (one.requestBody) {
    const content = one.requestBody.content["application/json"];
    made.append(element("h3", {}, "Body, as JSON"), fields(api.components.schemas[nameOf(content.schema.$ref)]));
    for (const example of Object.values(content.examples)) made.append(element("p", { class: "soft" }, "Example"), pretty(example.value));
  }
  made.append(element("h3", {}, "Answers"), ...Object.entries(one.responses).map(([status, response]) => answer(status, response)));
  return made;
};

const draw = (api) => {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => [path, method, one]));
  document.getElementById("about").replaceChildren(...prose(api.info.description));
  document.getElementById("contents").append(...operations.map(([path, method, one]) =>
    element("a", { href: `#${one.operationId}` }, element("span", { class: `method ${method}` }, method.toUpperCase()), element("code", {}, path))));
  document.getElementById("operations").replaceChildren(...operations.map(([path, method, one]) => operation(api, path, method, one)));
  document.getElementById("structs").hidden = false;
  document.getElementById("schemas").replaceChildren(...Object.entries(api.components.schemas).map(([name, schema]) =>
    element("section", { id: name }, element("h2", {}, element("code", {}, name)), element("p", {}, ...prose(schema.description)), fields(schema))));
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
};

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
fetch("openapi.json").then((response) => response.json()).then(draw).catch((error) => {
  document.getElementById("about").textContent = `The document could not be read: ${error.message}`;
});
