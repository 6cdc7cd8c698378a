"use strict";

// Shows /openapi.json: one section per route, the structs below.
const element = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};
const struct = (content) => content["application/json"].schema.$ref.split("/").pop();

const route = (path, method, operation) => {
  const rows = operation.parameters.map((parameter) =>
    element("tr", "", element("td", parameter.name), element("td", parameter.in + (parameter.required ? ", required" : "")),
      element("td", parameter.description || "")));
  if (operation.requestBody)
    rows.push(element("tr", "", element("td", struct(operation.requestBody.content)), element("td", "body, required")));
  const answers = Object.entries(operation.responses).map(([status, answer]) =>
    element("tr", "", element("td", status), element("td", answer.content ? struct(answer.content) : ""),
      element("td", answer.description)));
  return element("section", "",
    element("h2", "", element("b", method.toUpperCase()), element("code", path)),
    element("p", `${operation.summary} ${operation.description || ""}`),
    element("table", "", ...rows), element("h2", "Answers"), element("table", "", ...answers));
};

fetch("openapi.json").then((response) => response.json()).then((api) => {
  const sections = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => route(path, method, operation)));
  const structs = Object.entries(api.components.schemas).map(([name, schema]) =>
    element("section", "", element("h2", name), element("pre", JSON.stringify(schema, null, 2))));
  document.getElementById("routes").replaceChildren(...sections, ...structs);
});
