/** What to type to check an archive, and to read the documents in it. File names are ours: letters, digits, hyphens and dots. */
import type { Container } from './dump-address.js';

export function checkingCode(filename: string, sha256: string): { where: string; code: string }[] {
  return [
    { where: 'Linux', code: `echo "${sha256}  ${filename}" | sha256sum -c` },
    { where: 'macOS', code: `echo "${sha256}  ${filename}" | shasum -a 256 -c` },
    { where: 'Windows (PowerShell)', code: `(Get-FileHash ${filename}).Hash -eq "${sha256}"` },
  ];
}

/** Reads the catalogue, and the first of the wanted formats that is a text. */
export function openingCode(
  filename: string,
  container: Container,
  formats: readonly string[],
): { language: string; code: string }[] {
  const format = formats.find((each) => each !== 'meta' && each !== 'pdf') ?? formats[0] ?? 'txt';
  return [
    { language: 'Python', code: container === 'zip' ? pythonZip(filename, format) : pythonTar(filename, format) },
    { language: 'R', code: inR(filename, container, format) },
  ];
}

const pythonZip = (filename: string, format: string): string => `import csv, io, zipfile

with zipfile.ZipFile("${filename}") as bag:
    top = bag.namelist()[0].split("/")[0]
    with bag.open(f"{top}/catalog.csv") as file:
        catalog = list(csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")))
    ${loop('bag.read(f"{top}/{path}")', format)}`;

const pythonTar = (filename: string, format: string): string => `import csv, pathlib, tarfile

with tarfile.open("${filename}") as archive:
    archive.extractall("bag", filter="data")
top = next(pathlib.Path("bag").iterdir())
with open(top / "catalog.csv", encoding="utf-8", newline="") as file:
    catalog = list(csv.DictReader(file))
${loop('(top / path).read_bytes()', format).replaceAll('\n    ', '\n')}`;

const loop = (read: string, format: string): string => `for row in catalog:
        path = row["${format}"]
        if path:  # empty where the document has no ${format}: see omitted.csv
            text = ${read}${format === 'pdf' ? '' : '.decode("utf-8")'}
            print(row["ref"], len(text))`;

const inR = (
  filename: string,
  container: Container,
  format: string,
): string => `${container === 'zip' ? `unzip("${filename}", exdir = "bag")` : `untar("${filename}", exdir = "bag")`}
top <- list.dirs("bag", recursive = FALSE)[1]
catalog <- read.csv(file.path(top, "catalog.csv"), colClasses = "character")
there <- catalog[catalog$${format} != "", ]  # the others are in omitted.csv
texts <- vapply(file.path(top, there$${format}), function(path) {
  paste(readLines(path, encoding = "UTF-8", warn = FALSE), collapse = "\\n")
}, "")
names(texts) <- there$ref
nchar(texts)`;
