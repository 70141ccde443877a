/** The page: what a browser loads at `/`. */
import './styles/main.css';
import { render } from 'preact';
import { followLinks } from './foundation/place.js';
import { Shell } from './shell.js';

followLinks();
const root = document.querySelector('#page');
if (root === null) throw new Error('index.html has no #page');
render(<Shell />, root);
