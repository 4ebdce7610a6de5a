// How one example is shown: its picture, its text, or the columns of its row. The same as `frontend/components/example.py`.

function exampleNode(example, thumbnail) {
  if (example.text !== null) return element("p", "text", example.text)
  if (example.columns !== null) {
    const list = element("dl", "row")
    for (const [name, value] of Object.entries(example.columns)) list.append(element("dt", "", name), element("dd", "", value || "–"))
    return list
  }
  const image = element("img")
  Object.assign(image, { src: thumbnail, alt: "", draggable: false, decoding: "async" })
  return image
}

function isPicture(example) {
  return example.text === null && example.columns === null
}
